/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exposure ledger, two controllers, and hosts: every order in which their
 * steps can happen, each step the last one of a controller that dies there.
 *
 * A step is what the real thing does at once: one read of one key, one
 * transaction, one answer (canary/controller.c: read_state, decide_poll,
 * write_poll, carry_out). What a controller read may be old when it writes; a
 * poll may be old when it is read; an answer may arrive late, twice (it stays
 * in `told`) or, when the controller dies before it, never.
 *
 * Asserted, at every change of the store and of a host:
 *  - I7: hosts exposed and unconfirmed are never more than CAP, by the ledger's
 *    own sum and by recounting; hosts in a trial are never more than that;
 *  - an exposure is written before its host is told;
 *  - once a stop is written no exposure is;
 *  - between a pause and its resume no exposure is written, and no wave widened,
 *    while trials end and a bad one still stops it;
 *  - a wave is never wider than its target.
 *
 * What the model leaves out: silence and time, the way back, tombstones, more
 * than one rollout. Without CAS (-DNO_CAS) the transactions compare nothing that
 * the sums stand in; with TOLD_FIRST the answer leaves before the transaction;
 * with PAUSE_APART a pause is written beside the rollout's key, so that who read
 * before it does not lose; with PAUSE_UNREAD polls do not look at it: each must be
 * found out, or this model proves nothing.
 */
#ifndef HOSTS
#define HOSTS 3
#endif
#ifndef CAP
#define CAP 2
#endif
#define CONTROLLERS 2
/* How often operators pause it. Each multiplies the states: with pauses it is
 * searched for two hosts, without for three. */
#ifndef PAUSES
#define PAUSES 0
#endif

mtype:ledger = { NONE, EXPOSED, COMMITTED, FAILED };
mtype:live = { OLD, TRIAL, NEW, BACK };

/* The store. A revision for the rollout's key; an exposure only moves on, so
 * that its value is its revision. */
byte revision = 1;
byte target = 1, exposed, unconfirmed;
bool stopped, paused;
byte pauses;
mtype:ledger exposure[HOSTS] = NONE;

/* The world. */
bool told[HOSTS];
mtype:live host[HOSTS] = OLD;

/* What a controller knows is gone when it dies, and when it is done. */
#define FORGET \
	d_step { \
		h = 0; seen_revision = 0; seen_target = 0; seen_exposed = 0; \
		seen_unconfirmed = 0; seen_stopped = false; seen_paused = false; bad = false; \
		said = OLD; seen = NONE \
	}
/* Dying is the other choice at every step. (Beside it an `else` would never be
 * taken.) */
#define OR_DIE :: FORGET -> goto end_idle

#define READ_ROLLOUT \
	d_step { \
		seen_revision = revision; seen_target = target; \
		seen_exposed = exposed; seen_unconfirmed = unconfirmed; \
		seen_stopped = stopped; seen_paused = paused \
	}

#ifdef PAUSE_UNREAD
#define LOOKS_PAUSED false
#else
#define LOOKS_PAUSED seen_paused
#endif

/* What a poll leads to, by what was read. */
#define MAY_EXPOSE \
	seen == NONE && !seen_stopped && !LOOKS_PAUSED && said == OLD && \
	seen_exposed < seen_target && seen_unconfirmed < CAP
#define MAY_END seen == EXPOSED && (said == NEW || said == BACK)

/* Before a transaction counts: is the rollout what it was when it was read? */
#ifdef NO_CAS
#define UNCHANGED true
#else
#define UNCHANGED (revision == seen_revision)
#endif

inline check_ledger()
{
	byte i = 0, open = 0, all = 0;

	do
	:: i < HOSTS ->
		if
		:: exposure[i] == EXPOSED -> open++; all++
		:: exposure[i] == COMMITTED || exposure[i] == FAILED -> all++
		:: else
		fi;
		i++
	:: else -> break
	od;
	assert(open <= CAP);
	assert(open == unconfirmed);
	assert(all == exposed);
	assert(all <= target);
	i = 0; open = 0; all = 0
}

active [CONTROLLERS] proctype controller()
{
	byte h, seen_revision, seen_target, seen_exposed, seen_unconfirmed;
	bool seen_stopped, seen_paused, bad;
	mtype:live said = OLD;
	mtype:ledger seen = NONE;

end_idle:
	do
	:: /* A poll of some host. */
		select (h : 0 .. HOSTS - 1);
		said = host[h];
		if
		:: seen = exposure[h]
		OR_DIE
		fi;
		if
		:: READ_ROLLOUT
		OR_DIE
		fi;
		if
		OR_DIE
		:: MAY_EXPOSE ->
#ifdef TOLD_FIRST
			told[h] = true;
#endif
			d_step {
				if
				:: UNCHANGED && exposure[h] == NONE ->
					assert(!stopped);
					assert(!paused);
					exposure[h] = EXPOSED;
					exposed = seen_exposed + 1;
					unconfirmed = seen_unconfirmed + 1;
					revision++;
					seen = EXPOSED;
					check_ledger()
				:: else /* it lost; the host comes again */
				fi
			}
		:: MAY_END ->
			d_step {
				if
				:: UNCHANGED && exposure[h] == EXPOSED ->
					if
					:: said == NEW ->
						exposure[h] = COMMITTED
					:: else ->
						exposure[h] = FAILED
					fi;
					exposed = seen_exposed;
					unconfirmed = seen_unconfirmed - 1;
					revision++;
					seen = exposure[h];
					check_ledger()
				:: else
				fi
			}
		:: !(MAY_EXPOSE) && !(MAY_END) -> skip
		fi;
		/* Not telling is the same as dying before it. */
		if
		:: seen == EXPOSED && !seen_stopped -> told[h] = true
		OR_DIE
		fi;
		FORGET
#if PAUSES > 0
	:: /* An operator pauses it, or lets it go on. */
		pauses < PAUSES || paused ->
		READ_ROLLOUT;
		if
		:: d_step {
			if
			:: seen_stopped || !UNCHANGED
			:: else ->
				if
				:: !seen_paused && pauses < PAUSES ->
					paused = true;
					pauses++;
#ifndef PAUSE_APART
					revision++
#endif
				:: seen_paused ->
					paused = false;
					revision++
				:: else
				fi
			fi
		   }
		OR_DIE
		fi;
		FORGET
#endif
	:: /* A tick: what is due by a view that may be old. */
		READ_ROLLOUT;
		do
		:: d_step {
			h < HOSTS ->
				bad = bad || exposure[h] == FAILED;
				h++
		   }
		:: d_step {
			h == HOSTS ->
				if
				:: seen_stopped || !UNCHANGED
				:: else ->
					if
					:: bad ->
						stopped = true;
						paused = false;
						revision++
					:: !bad && !seen_paused && seen_unconfirmed == 0 &&
					   seen_exposed == seen_target &&
					   seen_target < HOSTS ->
						assert(!paused);
						target = HOSTS;
						revision++
					:: else
					fi
				fi
		   };
			FORGET;
			goto end_idle
		OR_DIE
		od
	od
}

active [HOSTS] proctype agent()
{
	byte me = _pid - CONTROLLERS;
	byte i, trials;

end_idle:
	do
	:: told[me] && host[me] == OLD ->
		d_step {
			assert(exposure[me] != NONE);
			host[me] = TRIAL;
			i = 0;
			trials = 0;
			do
			:: i < HOSTS ->
				if
				:: host[i] == TRIAL -> trials++
				:: else
				fi;
				i++
			:: else -> break
			od;
			assert(trials <= CAP);
			i = 0;
			trials = 0
		}
	:: host[me] == TRIAL -> host[me] = NEW
	:: host[me] == TRIAL -> host[me] = BACK
	od
}
