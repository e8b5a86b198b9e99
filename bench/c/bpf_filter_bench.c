/*
 * Times libpcap's bpf_filter() over frames held in memory, for bench/vm.ts.
 *
 * usage: bpf_filter_bench FRAMES
 * FRAMES: a 32-bit count, then for each frame a 32-bit length and its bytes, in host order.
 * Commands on standard input, one a line:
 *   program COUNT      followed by COUNT lines "code jt jf k" in decimal; replaces the program
 *   run ROUNDS         runs the program over all frames ROUNDS times; answers "NANOSECONDS MATCHES"
 */
#include <sys/types.h>
#include <pcap/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_INSTRUCTIONS 4096

struct frame {
	uint32_t length;
	unsigned char *bytes;
};

static struct bpf_insn program[MAX_INSTRUCTIONS];

static void
fail(const char *what)
{
	fprintf(stderr, "bpf_filter_bench: %s\n", what);
	exit(1);
}

static uint32_t
read_u32(FILE *file)
{
	uint32_t value;
	if (fread(&value, sizeof value, 1, file) != 1)
		fail("the frame file is too short");
	return value;
}

static struct frame *
read_frames(const char *path, uint32_t *count)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail("cannot open the frame file");
	*count = read_u32(file);
	struct frame *frames = calloc(*count, sizeof *frames);
	for (uint32_t i = 0; i < *count; i++) {
		frames[i].length = read_u32(file);
		frames[i].bytes = malloc(frames[i].length);
		if (fread(frames[i].bytes, 1, frames[i].length, file) != frames[i].length)
			fail("the frame file is too short");
	}
	fclose(file);
	return frames;
}

static void
read_program(unsigned count)
{
	if (count == 0 || count > MAX_INSTRUCTIONS)
		fail("bad program length");
	for (unsigned i = 0; i < count; i++) {
		unsigned code, jt, jf, k;
		if (scanf("%u %u %u %u", &code, &jt, &jf, &k) != 4)
			fail("bad instruction");
		program[i] = (struct bpf_insn){ .code = code, .jt = jt, .jf = jf, .k = k };
	}
}

static void
run(const struct frame *frames, uint32_t count, unsigned rounds)
{
	struct timespec start, end;
	unsigned long matches = 0;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	for (unsigned round = 0; round < rounds; round++)
		for (uint32_t i = 0; i < count; i++)
			matches += bpf_filter(program, frames[i].bytes, frames[i].length, frames[i].length) != 0;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	long long elapsed = (end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec);
	printf("%lld %lu\n", elapsed, matches);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	uint32_t frame_count;
	char command[16];
	unsigned argument;

	if (argc != 2)
		fail("usage: bpf_filter_bench FRAMES");
	struct frame *frames = read_frames(argv[1], &frame_count);
	while (scanf("%15s %u", command, &argument) == 2) {
		if (strcmp(command, "program") == 0)
			read_program(argument);
		else if (strcmp(command, "run") == 0)
			run(frames, frame_count, argument);
		else
			fail("unknown command");
	}
	return 0;
}
