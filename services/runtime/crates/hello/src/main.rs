//! The command of the built-in `hello` image: proof that an image, a container and its output all work.

use std::io::Write;

const TEXT: &str = "\
Hello from Dockyard!

This text was printed by a container. To print it,
 1. the client asked dockerd (the Engine API) for a container of the image `hello`;
 2. dockerd had containerd prepare a snapshot of the image and start a task;
 3. containerd's shim ran the OCI runtime, which made the namespaces, the mounts and
    the cgroup, and executed this program in them;
 4. the shim wrote what you read here into the container's log and to the client.
";

fn main() -> std::process::ExitCode {
    match std::io::stdout().write_all(TEXT.as_bytes()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(_) => std::process::ExitCode::FAILURE,
    }
}
