/*
 * The protocol before FreeBSD's fix of June 2006 (sys/net/bpf.c), in which closing the last descriptor under load
 * panicked the kernel. spin must find that panic: this model is expected to fail.
 *
 *   tap path    BPF_TAP(ifp, m): if (ifp->if_bpf) bpf_tap(ifp->if_bpf, m). The pointer is read twice, without a lock.
 *   attach      bpf_attachd(): *bp->bif_driverp = bp, under the lock.
 *   detach      bpf_detachd(): if nobody is left, *bp->bif_driverp = NULL, under the lock.
 *
 * The lock does not help: it lies behind the very pointer that is read before it is taken.
 */

#define NULL 0
#define BPF_IF 1

byte if_bpf = NULL;      /* ifp->if_bpf: NULL while nobody listens */
byte descriptors = 0;    /* bp->bif_dlist, its length */
bool locked = false;     /* BPFIF_LOCK */

active [2] proctype Tapper()
{
	byte bp;

end:	do
	:: if
	   :: if_bpf == NULL -> skip               /* BPF_TAP: nobody listens */
	   :: if_bpf != NULL ->                    /* BPF_TAP: somebody does ... */
		bp = if_bpf;                       /* ... and the argument of bpf_tap() is read again */
		assert(bp != NULL);                /* BPFIF_LOCK(NULL): page fault, panic */
		atomic { !locked -> locked = true };
		/* the list is walked here */
		locked = false
	   fi
	od
}

active proctype Control()
{
	byte cycle;

	for (cycle : 1 .. 2) {
		/* bpf_attachd() */
		atomic { !locked -> locked = true };
		descriptors++;
		if_bpf = BPF_IF;
		locked = false;

		/* bpf_detachd() */
		atomic { !locked -> locked = true };
		descriptors--;
		if
		:: descriptors == 0 -> if_bpf = NULL
		:: else
		fi;
		locked = false
	}
}
