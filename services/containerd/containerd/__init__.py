"""containerd: content, images, snapshots, containers and tasks, served over gRPC to every client alike."""
