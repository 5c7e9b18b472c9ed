"""What clients ask before they begin: version, plugins, health; and events."""

from __future__ import annotations

import json
import signal
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from tests.support.containerd import OURS, Containerd
from tests.support.stack import wait_until

from wire import typeurl
from wire.gen.containerd.services.events.v1 import events_pb2, events_pb2_grpc
from wire.gen.containerd.services.introspection.v1 import introspection_pb2 as pb
from wire.gen.containerd.services.introspection.v1 import introspection_pb2_grpc
from wire.gen.containerd.types import introspection_pb2
from wire.gen.health.v1 import health_pb2, health_pb2_grpc

HERE = (("containerd-namespace", "default"),)


def _stub(containerd: Containerd) -> Any:
    return introspection_pb2_grpc.IntrospectionStub(containerd.channel)


def test_version(containerd: Containerd) -> None:
    out = containerd.ctr("version")
    assert "dockyard" in out
    server = _stub(containerd).Server(Empty())
    assert containerd.process is not None
    assert server.pid == containerd.process.pid
    assert f"UUID: {server.uuid}" in out


def test_plugins(containerd: Containerd) -> None:
    lines = [line.split() for line in containerd.ctr("plugins", "ls").splitlines()[1:]]
    assert ["io.containerd.snapshotter.v1", "overlayfs", "linux/amd64", "ok"] in lines
    assert {line[3] for line in lines} == {"ok"}
    grpc_plugins = {line[1] for line in lines if line[0] == "io.containerd.grpc.v1"}
    assert {"content", "diff", "leases", "tasks", "namespaces"} <= grpc_plugins
    request = pb.PluginsRequest(filters=["type==io.containerd.snapshotter.v1,id==overlayfs"])
    found = _stub(containerd).Plugins(request).plugins
    assert [each.platforms[0].architecture for each in found] == ["amd64"]


def test_runtime_is_described_by_its_shim(containerd: Containerd) -> None:
    options = typeurl.pack(introspection_pb2.RuntimeRequest(runtime_path=OURS))
    request = pb.PluginInfoRequest(type="io.containerd.runtime.v2", id="task", options=options)
    response = _stub(containerd).PluginInfo(request)
    info = introspection_pb2.RuntimeInfo.FromString(response.extra.value)
    assert info.name == OURS
    assert "ociVersionMin" in json.loads(info.features.value)
    with pytest.raises(grpc.RpcError) as raised:
        _stub(containerd).PluginInfo(pb.PluginInfoRequest(type="nope", id="nope"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_health(containerd: Containerd) -> None:
    stub = health_pb2_grpc.HealthStub(containerd.channel)
    for name in ("", "containerd.services.content.v1.Content"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as raised:
        stub.Check(health_pb2.HealthCheckRequest(service="nope"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_ctr_events_of_a_container(containerd: Containerd, image: str) -> None:
    with open(containerd.root / "events", "wb") as out:
        client = containerd.popen("events", stdout=out)
        try:
            # The client says nothing when it has subscribed: an event of ours tells.
            path = containerd.root / "events"
            wait_until(lambda: _publish(containerd) and b"/tests/ready" in path.read_bytes())
            containerd.ctr("run", "--rm", "--runtime", OURS, image, "seen", "true")
            wait_until(lambda: b"/containers/delete" in path.read_bytes())
        finally:
            client.send_signal(signal.SIGTERM)
            client.wait()
    topics = []
    for line in path.read_text().splitlines():
        topic = next(word for word in line.split() if word.startswith("/"))
        if topic != "/tests/ready":
            topics.append(topic)
    assert [each for each in topics if not each.startswith(("/snapshot", "/content"))] == [
        "/containers/create",
        "/tasks/create",
        "/tasks/start",
        "/tasks/exit",
        "/tasks/delete",
        "/containers/delete",
    ]
    assert topics.index("/snapshot/prepare") < topics.index("/containers/create")


def _publish(containerd: Containerd) -> bool:
    stub = events_pb2_grpc.EventsStub(containerd.channel)
    request = events_pb2.PublishRequest(topic="/tests/ready", event=typeurl.pack(Empty()))
    stub.Publish(request, metadata=HERE)
    return True


def test_events_are_filtered_by_topic_namespace_and_field(containerd: Containerd) -> None:
    stub = events_pb2_grpc.EventsStub(containerd.channel)
    filters = ['topic~="/namespaces/.*",event.name==wanted', "namespace==elsewhere"]
    stream = stub.Subscribe(events_pb2.SubscribeRequest(filters=filters))
    # Sent at once by the daemon: the subscription stands.
    stream.initial_metadata()
    containerd.ctr("namespaces", "create", "unwanted")
    containerd.ctr("namespaces", "create", "wanted")
    publish = events_pb2.PublishRequest(topic="/tests/x", event=typeurl.pack(Empty()))
    stub.Publish(publish, metadata=HERE)
    stub.Publish(publish, metadata=(("containerd-namespace", "elsewhere"),))
    first, second = next(stream), next(stream)
    assert (first.topic, first.namespace) == ("/namespaces/create", "wanted")
    assert (second.topic, second.namespace) == ("/tests/x", "elsewhere")
    forward = events_pb2.ForwardRequest(envelope=first)
    stub.Forward(forward)
    assert next(stream) == first
    stream.cancel()
    for name in ("unwanted", "wanted"):
        containerd.ctr("namespaces", "rm", name)


def test_malformed_filters_and_topics_are_refused(containerd: Containerd) -> None:
    stub = events_pb2_grpc.EventsStub(containerd.channel)
    with pytest.raises(grpc.RpcError) as raised:
        next(stub.Subscribe(events_pb2.SubscribeRequest(filters=["topic==="])))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as raised:
        stub.Publish(events_pb2.PublishRequest(topic="no-slash"), metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_image_events(containerd: Containerd, image: str) -> None:
    stub = events_pb2_grpc.EventsStub(containerd.channel)
    stream = stub.Subscribe(events_pb2.SubscribeRequest(filters=['topic~="/images/.*"']))
    stream.initial_metadata()
    containerd.ctr("images", "tag", image, "renamed:1")
    containerd.ctr("images", "label", "renamed:1", "a=b")
    containerd.ctr("images", "rm", "renamed:1")
    events = [next(stream) for _ in range(3)]
    assert [each.topic for each in events] == ["/images/create", "/images/update", "/images/delete"]
    assert {typeurl.unpack(each.event).name for each in events} == {"renamed:1"}
    stream.cancel()


def test_shutdown_ends_pending_calls(containerd: Containerd) -> None:
    stub = events_pb2_grpc.EventsStub(containerd.channel)
    stream = stub.Subscribe(events_pb2.SubscribeRequest())
    stream.initial_metadata()
    containerd.end()
    with pytest.raises(grpc.RpcError):
        next(stream)
    containerd.start()
    assert json.loads(containerd.ctr("content", "active") and "{}") == {}
