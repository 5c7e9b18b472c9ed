"""Images: where they are kept, where they come from, and the verbs."""

from __future__ import annotations

from dataclasses import dataclass

from dockerd.images.commit import Committer
from dockerd.images.distribution import DistributionInspector
from dockerd.images.documents import Documents
from dockerd.images.inspect import Inspector
from dockerd.images.layers import LayerStore
from dockerd.images.list import Lister
from dockerd.images.load import Loader
from dockerd.images.login import Login
from dockerd.images.manifests import Manifests
from dockerd.images.prune import Pruner
from dockerd.images.pull import Puller
from dockerd.images.push import Pusher
from dockerd.images.registries import RegistryHosts, parse_settings
from dockerd.images.remote import Remotes
from dockerd.images.remove import Remover
from dockerd.images.repositories import Repositories
from dockerd.images.save import Saver
from dockerd.images.search import Searcher
from dockerd.images.store import ImageStore
from dockerd.images.tag import Tagger
from dockerd.images.transfer import Transfers
from dockerd.wiring.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The store and the registries, and what is done with them."""

    store: ImageStore
    registries: RegistryHosts
    lister: Lister
    inspector: Inspector
    remover: Remover
    pruner: Pruner
    puller: Puller
    pusher: Pusher
    loader: Loader
    saver: Saver
    tagger: Tagger
    committer: Committer
    login: Login
    searcher: Searcher
    distribution: DistributionInspector


def assemble(ground: Ground) -> Images:
    """From containerd upwards."""
    config, containerd, events = ground.config, ground.containerd, ground.events
    layers = LayerStore(containerd)
    documents = Documents(containerd)
    store = ImageStore(containerd, documents, layers)
    manifests = Manifests(containerd, documents, layers)
    transfers = Transfers(containerd, f"{config.exec_root}/pipes", ground.live)
    settings = parse_settings(config.registry_mirrors, config.insecure_registries)
    registries = RegistryHosts(settings, f"{config.exec_root}/hosts.d")
    repositories = Repositories(registries)
    remotes = Remotes(transfers, registries)
    remover = Remover(store, events)
    return Images(
        store=store,
        registries=registries,
        lister=Lister(store, manifests),
        inspector=Inspector(store, layers, manifests),
        remover=remover,
        pruner=Pruner(store, remover),
        puller=Puller(remotes, repositories, store, events),
        pusher=Pusher(store, remotes, events),
        loader=Loader(transfers, store, events, ground.scratch),
        saver=Saver(store, transfers),
        tagger=Tagger(store, events),
        committer=Committer(containerd, store),
        login=Login(repositories),
        searcher=Searcher(repositories),
        distribution=DistributionInspector(repositories),
    )
