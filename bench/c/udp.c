/*
 * Small packets for bench/net.ts.
 *
 * usage: udp send ADDRESS BYTES SECONDS    sends datagrams with BYTES of payload as fast as it can; prints how many
 *        udp receive SECONDS               counts what arrives on port 9000 from the first one on; prints how many,
 *                                          and the nanoseconds from the first to the last
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define PORT 9000
#define BATCH 32

static char payload[BATCH][65536];
static struct iovec iov[BATCH];
static struct mmsghdr messages[BATCH];

static int64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void
prepare(size_t bytes)
{
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){payload[i], bytes};
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static int
send_all(const char *address, size_t bytes, double seconds)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(s, (struct sockaddr *)&to, sizeof to) < 0)
		return perror("connect"), 1;
	prepare(bytes);
	int64_t end = now_ns() + (int64_t)(seconds * 1e9), sent = 0;
	while (now_ns() < end) {
		int n = sendmmsg(s, messages, BATCH, 0);
		if (n > 0)
			sent += n;
	}
	printf("%lld\n", (long long)sent);
	return 0;
}

static int
receive_all(double seconds)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20;
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct timeval patience = {0, 300000};
	setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (bind(s, (struct sockaddr *)&own, sizeof own) < 0)
		return perror("bind"), 1;
	prepare(sizeof payload[0]);
	puts("ready");
	fflush(stdout);
	int64_t give_up = now_ns() + (int64_t)(seconds * 1e9) + 2000000000LL, first = 0, last = 0, count = 0;
	while (now_ns() < give_up) {
		int n = recvmmsg(s, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n <= 0) {
			if (count > 0)
				break;
			continue;
		}
		last = now_ns();
		if (count == 0)
			first = last;
		count += n;
	}
	printf("%lld %lld\n", (long long)count, (long long)(last - first));
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "send") == 0)
		return send_all(argv[2], atoi(argv[3]), atof(argv[4]));
	if (argc == 3 && strcmp(argv[1], "receive") == 0)
		return receive_all(atof(argv[2]));
	fprintf(stderr, "usage: udp send ADDRESS BYTES SECONDS | udp receive SECONDS\n");
	return 2;
}
