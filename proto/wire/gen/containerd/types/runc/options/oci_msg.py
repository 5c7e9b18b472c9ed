"""Messages of containerd/types/runc/options/oci.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class Options(Message):
    NAME = "containerd.runc.v1.Options"
    FIELDS = {
        1: ("no_pivot_root", BOOL, False, None),
        2: ("no_new_keyring", BOOL, False, None),
        3: ("shim_cgroup", STRING, False, None),
        4: ("io_uid", UNSIGNED, False, None),
        5: ("io_gid", UNSIGNED, False, None),
        6: ("binary_name", STRING, False, None),
        7: ("root", STRING, False, None),
        9: ("systemd_cgroup", BOOL, False, None),
        10: ("criu_image_path", STRING, False, None),
        11: ("criu_work_path", STRING, False, None),
        12: ("task_api_address", STRING, False, None),
        13: ("task_api_version", UNSIGNED, False, None),
    }
    no_pivot_root: bool = False
    no_new_keyring: bool = False
    shim_cgroup: str = ""
    io_uid: int = 0
    io_gid: int = 0
    binary_name: str = ""
    root: str = ""
    systemd_cgroup: bool = False
    criu_image_path: str = ""
    criu_work_path: str = ""
    task_api_address: str = ""
    task_api_version: int = 0


class CheckpointOptions(Message):
    NAME = "containerd.runc.v1.CheckpointOptions"
    FIELDS = {
        1: ("exit", BOOL, False, None),
        2: ("open_tcp", BOOL, False, None),
        3: ("external_unix_sockets", BOOL, False, None),
        4: ("terminal", BOOL, False, None),
        5: ("file_locks", BOOL, False, None),
        6: ("empty_namespaces", STRING, True, None),
        7: ("cgroups_mode", STRING, False, None),
        8: ("image_path", STRING, False, None),
        9: ("work_path", STRING, False, None),
        10: ("parent_path", STRING, False, None),
    }
    exit: bool = False
    open_tcp: bool = False
    external_unix_sockets: bool = False
    terminal: bool = False
    file_locks: bool = False
    empty_namespaces: list[str]
    cgroups_mode: str = ""
    image_path: str = ""
    work_path: str = ""
    parent_path: str = ""


class ProcessDetails(Message):
    NAME = "containerd.runc.v1.ProcessDetails"
    FIELDS = {
        1: ("exec_id", STRING, False, None),
    }
    exec_id: str = ""
