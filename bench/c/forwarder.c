/*
 * The floor for bench/net.ts: carries frames between two TAP devices with poll, read and write, and nothing else.
 *
 * usage: forwarder [-o] TAP0 TAP1
 * Makes the devices, prints "ready", and forwards until it is killed. -o: IFF_VNET_HDR with checksum and TCP
 * segmentation offload, frames passed on whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BATCH 64

static void
fail(const char *what)
{
	fprintf(stderr, "forwarder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
open_tap(const char *name, int offload)
{
	struct ifreq ifr = {0};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (fd < 0)
		fail("/dev/net/tun");
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		fail(name);
	if (offload) {
		int size = 12;
		ioctl(fd, TUNSETVNETHDRSZ, &size);
		if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
			fail("TUNSETOFFLOAD");
	}
	return fd;
}

int
main(int argc, char **argv)
{
	static char frame[65536 + 64];
	int offload = argc > 1 && strcmp(argv[1], "-o") == 0;
	struct pollfd fds[2];
	if (argc != 3 + offload) {
		fprintf(stderr, "usage: forwarder [-o] TAP0 TAP1\n");
		return 2;
	}
	for (int i = 0; i < 2; i++)
		fds[i] = (struct pollfd){open_tap(argv[1 + offload + i], offload), POLLIN, 0};
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(fds, 2, -1);
		for (int i = 0; i < 2; i++) {
			if (!(fds[i].revents & POLLIN))
				continue;
			for (int n = 0; n < BATCH; n++) {
				ssize_t length = read(fds[i].fd, frame, sizeof frame);
				if (length <= 0)
					break;
				if (write(fds[1 - i].fd, frame, length) < 0)
					continue;
			}
		}
	}
}
