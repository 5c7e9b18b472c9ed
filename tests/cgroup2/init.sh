#!/bin/sh
# The first process of the lane: a host with cgroup v2 alone, whose root is the real host's, read-only.
# Environment: LANE_CLONE the repository, LANE_PYTHON an interpreter with pytest, LANE_ARGUMENTS words for pytest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
# The repository may be in /tmp.
mkdir /run/clone && mount --bind "$LANE_CLONE" /run/clone
mount -t tmpfs tmpfs /tmp
[ -d "$LANE_CLONE" ] || mkdir -p "$LANE_CLONE"
mount --move /run/clone "$LANE_CLONE"
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
cd "$LANE_CLONE" || exit 1
"$LANE_PYTHON" -m pytest -q --color=no -p no:cacheprovider $LANE_ARGUMENTS
echo "lane: pytest ended with $?"
echo o >/proc/sysrq-trigger
exec sleep 10
