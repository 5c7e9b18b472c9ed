/* Receive terminals on a socket and drop or print what they print:
 * recvtty [--mode single|null] [--no-stdin] [--pid-file FILE] SOCKET
 * In place of the program of that name that runc's tests use. They do not wait for it: it must listen at once. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define MOST 256

static int receive(int connection)
{
	char data[4096], control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { data, sizeof(data) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	int descriptor = -1;

	if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) > 0 && (header = CMSG_FIRSTHDR(&message)) != NULL)
		memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
	close(connection);
	return descriptor;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd watched[MOST];
	int count = 1, single = 1, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buffer[65536];
	FILE *file;

	strncpy(address.sun_path, argv[argc - 1], sizeof(address.sun_path) - 1);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 64)) {
		perror(address.sun_path);
		return 1;
	}
	for (int at = 1; at < argc - 2; at++) {
		if (!strcmp(argv[at], "--mode") || !strcmp(argv[at], "-m"))
			single = !strcmp(argv[at + 1], "single");
		if (!strcmp(argv[at], "--pid-file") && (file = fopen(argv[at + 1], "w")) != NULL) {
			fprintf(file, "%d\n", getpid());
			fclose(file);
		}
	}
	watched[0] = (struct pollfd){ listener, POLLIN, 0 };
	while (poll(watched, count, -1) > 0) {
		for (int at = count - 1; at > 0; at--) {
			ssize_t length;

			if (!watched[at].revents)
				continue;
			length = read(watched[at].fd, buffer, sizeof(buffer));
			if (length > 0) {
				if (single && write(1, buffer, length) < 0)
					return 1;
				continue;
			}
			if (single)
				return 0;
			close(watched[at].fd);
			watched[at] = watched[--count];
		}
		if (watched[0].revents) {
			int master = receive(accept(listener, NULL, NULL));
			struct termios settings;

			if (master < 0 || count == MOST)
				continue;
			if (single && !tcgetattr(master, &settings)) {
				settings.c_oflag &= ~ONLCR;
				tcsetattr(master, TCSANOW, &settings);
			}
			watched[count++] = (struct pollfd){ master, POLLIN, 0 };
		}
	}
	return 0;
}
