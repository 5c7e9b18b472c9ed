"""Images without a registry: listings, tags, history, commit, import, save, load, removal."""

from __future__ import annotations

import pytest
from tests.support.cli import Bench, Row, named, row

_ERROR = "Error response from daemon: "
_OTHER = (
    _ERROR
    + "image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)"
)
_PLATFORM = _ERROR + "platform: choosing a platform is not supported here"
_MADE = "docker commit -m msg -a me -c 'ENV A=b' ended img:1"
_STORE = "graph driver store: another id, no digest without a registry"
_ROWS = [
    row("docker images busybox", "REPOSITORY TAG IMAGE ID CREATED SIZE\nbusybox latest <short> <ago> <size>"),
    row("docker image ls --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.CreatedSince}} {{.Size}}' busybox", "busybox:latest <short> <ago> <size>"),
    row("docker image list -q --no-trunc busybox", "sha256:<id>"),
    row("docker images --digests busybox", "REPOSITORY TAG DIGEST IMAGE ID CREATED SIZE\nbusybox latest sha256:<id> <short> <ago> <size>", original=_STORE),
    row("docker images --format json busybox", '{"Containers":"<name>","CreatedAt":"<*>","CreatedSince":"<ago>","Digest":"\\u003cnone\\u003e","ID":"<short>","Repository":"busybox",'
        '"SharedSize":"N/A","Size":"<size>","Tag":"latest","UniqueSize":"N/A","VirtualSize":"<size>"}', since=28),
    row("docker images -a nope:*", "REPOSITORY TAG IMAGE ID CREATED SIZE"),
    row("docker images --format '{{.Repository}}:{{.Tag}}' img", "img:1", given=_MADE + "; docker tag img:1 other:2"),
    row("docker images --format '{{.Repository}}:{{.Tag}}' -f 'reference=o*:2'", "other:2", given=_MADE + "; docker tag img:1 other:2"),
    *(
        row(f"docker images --format '{{{{.Repository}}}}' {wanted} | grep -v hello", found, code=code, given=_MADE)
        for wanted, found, code in (
            ("-f label=made-by", "img busybox", 0), ("-f label=made-by=no", "", 1), ("-f dangling=true", "", 1), ("-f before=img:1", "busybox", 0), ("-f since=busybox", "img", 0),
        )
    ),
    row("docker images -f bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker images -f dangling=maybe", "", _ERROR + "<*>nvalid filter 'dangling=[maybe]'", 1),
    row("docker images -f before=nope", "", _ERROR + "<*>o such image: nope:latest", 1),
    row("docker images --tree busybox", "<*>busybox:latest<*>", "<*>", since=28, original="--tree needs API 1.47"),
    row("docker tag busybox other:2 && docker image tag other:2 third && docker image inspect -f '{{.RepoTags}}' third", "[busybox:latest other:2 third:latest]"),
    row("docker tag nope other", "", _ERROR + "No such image: nope:latest", 1),
    row("docker tag busybox UPPER", "", "<*>invalid reference format: repository name <*>must be lowercase", 1),
    row("docker image inspect -f '{{json .Config.Env}} {{.Author}} {{.Comment}} {{.Os}} {{.Architecture}}' img:1", '["PATH=/bin","A=b"] me msg linux amd64', given=_MADE),
    row("docker image inspect nope", "[]", "<*>o such image: nope:latest", 1, since=28),
    row("docker history busybox", "IMAGE CREATED CREATED BY SIZE COMMENT\n<short> <*> layer 0 <size>"),
    row("docker image history --no-trunc --format '{{.ID}}|{{.CreatedBy}}|{{.Comment}}' img:1", "sha256:<id>|sh -c echo one; echo two >&2; exit 7|msg <missing>|layer 0|", given=_MADE, original="knows the id of the layer below"),
    row("docker history -q --human=false busybox", "<short>"),
    row("docker history --format json busybox", '{"Comment":"","CreatedAt":"<*>","CreatedBy":"layer 0","CreatedSince":"<*>","ID":"<short>","Size":"<size>"}', since=28),
    row("docker history --platform linux/amd64 -q busybox", "<short>", since=28, original="came with API 1.48"),
    row("docker history --platform linux/arm64 busybox", "", _OTHER, 1, since=28, original="came with API 1.48"),
    row("docker image inspect --platform linux/amd64 -f '{{.Architecture}}' busybox", "amd64", since=28, original="came with API 1.49"),
    row("docker image inspect --platform linux/arm64 busybox", "[]", _OTHER, 1, since=28, original="came with API 1.49"),
    row("docker history nope", "", _ERROR + "No such image: nope:latest", 1),
    # commit
    row("docker commit ended", "sha256:<id>"),
    row("docker container commit -p=false -c 'CMD [\"echo\",\"new\"]' -c 'LABEL a=b' ended img:3 && docker run --rm img:3", "sha256:<id> new", since=0),
    row("docker commit -c 'BOGUS x' ended", "", _ERROR + "bogus is not a valid change command", 1),
    row("docker commit ended UPPER", "", "<*>invalid reference format: repository name <*>must be lowercase", 1),
    row("docker commit nope", "", _ERROR + "No such container: nope", 1),
    # import
    row("docker export ended | docker import -m hey -c 'CMD [\"echo\",\"imported\"]' --platform linux/amd64 - imp:1 && docker run --rm imp:1 && docker history --format '{{.Comment}}' imp:1", "sha256:<id> imported hey"),
    row("docker image import root.tar imp:2", "sha256:<id>", given="docker export -o root.tar ended"),
    row("docker import junk", "", "<*>", 1, given="echo junk > junk"),
    row("docker import /no/such", "", "<*>no such file or directory", 1),
    # save and load
    row("docker save busybox | tar t | grep -x manifest.json", "manifest.json"),
    row("docker image save -o two.tar busybox img:1 && docker rmi img:1 >/dev/null && docker image load -i two.tar", "Loaded image: busybox:latest Loaded image: img:1", given=_MADE),
    row("docker save busybox | docker load -q", "Loaded image: busybox:latest"),
    row("docker save img:1 | gzip | docker load", "Loaded image: img:1", given=_MADE),
    row("docker save nope", "", _ERROR + "<*>o such image: nope<*>", 1),
    row("docker save -o /no/such/file busybox", "", "<*>/no/such<*>", 1),
    row("docker save --platform linux/amd64 busybox | tar t | grep -c -x -e manifest.json -e index.json", "2", since=28, original="came with API 1.48"),
    row("docker save --platform linux/arm64 busybox", "", _OTHER, 1, since=28, original="came with API 1.48"),
    row("docker load --platform linux/amd64 -i junk", "", _PLATFORM, 1, given="echo junk > junk", since=28, original="came with API 1.48"),
    row("docker rmi --platform linux/amd64 busybox", "", _PLATFORM.replace("platform:", "platforms:"), 1, since=28, original="came with API 1.50"),
    row("docker load -i /no/such", "", "<*>no such file or directory", 1),
    row("docker load < junk", "", "<*>", 1, given="echo junk > junk"),
    # rm, prune
    row("docker rmi img:1", "Untagged: img:1\nDeleted: sha256:<id><*>", given=_MADE),
    row("docker image rm other:2", "Untagged: other:2", given="docker tag busybox other:2"),
    row("docker image remove -f img:1", "Untagged: img:1", given=_MADE + "; docker create img:1 >/dev/null", original="deletes what a stopped container uses"),
    row("docker rmi --no-prune img:1", "Untagged: img:1\nDeleted: sha256:<id><*>", given=_MADE),
    row("docker rmi nope", "", "<*>o such image: nope:latest", 1, since=28),
    row("docker rmi -f nope", "", "<*>o such image: nope:latest", since=28),
    row("docker rmi busybox", "", _ERROR + "conflict: unable to <*>remove repository reference \"busybox\" (must force) - container <short> is using its referenced image <short>", 1, original="some other sentence"),
    row("docker rmi img:1 nope", "Untagged: img:1\nDeleted: sha256:<id><*>", "<*>o such image: nope:latest", 1, given=_MADE, since=28),
    row("docker image prune -f", "<*>Total reclaimed space: <size>", given="docker commit ended"),
    row("docker image prune -af --filter label=x=y", "Total reclaimed space: 0B"),
    row("docker image prune -f --filter bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker image", "", "<*>Manage images<*>"),
]  # fmt: skip


@pytest.mark.parametrize(**named(_ROWS))
def test_images(table: Bench, each: Row) -> None:
    table.check(each)
