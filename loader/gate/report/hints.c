/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/hints.h"

#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/kern/ask/vlog_lines.h"

/*
 * The first row whose words stand in the reason, in their order with anything
 * at "*", wins; so the narrower comes before the wider. A row with @at also
 * wants it in the instruction at which the verifier stopped. The kernel that
 * words it so is named where others word it otherwise.
 */
static const struct {
	const char *reason, *at, *hint;
} hints[] = {
	/* memory: bounds */
	{ "R* unbounded memory access, use 'var &= const'", NULL,
	  "The size passed to the helper has no upper bound that the verifier knows. Compare it with the size of the buffer just before the call, or mask it: size &= MAX - 1." },
	{ "unbounded memory access", NULL,
	  "Nothing limits the index before this access. Test it against the number of elements right before (if (i >= N) return 0;), on an unsigned variable; after a call or a spill to the stack the compiler may test a copy: mask it then (i &= N - 1)." },
	{ "R* min value is negative, either use unsigned or", NULL,
	  "The size passed to the helper may be negative. Keep it in an unsigned variable, or test it for size < 0 as well." },
	{ "min value is negative", NULL,
	  "The index may be negative. Keep it in an unsigned variable, or test it for i < 0 as well." },
	{ "outside of the packet", NULL,
	  "The packet may end before this byte. Compare with data_end first: if (data + offset + size > data_end) return …; and read through the pointer that was compared." },
	{ "invalid access to packet", NULL,
	  "The packet may end before this byte. Compare with data_end first: if (data + offset + size > data_end) return …; and read through the pointer that was compared." },
	{ "m* value is outside of the allowed memory range", "pkt",
	  "The packet may end before this byte. Compare with data_end first: if (data + offset + size > data_end) return …; and read through the pointer that was compared." },
	{ "max value is outside of", NULL,
	  "The test before this access lets through more than there is: with the largest index it still reads behind the end. Hold it against the number of elements of this very array, or mask with a power of two that is not larger." },
	{ "min value is outside of", NULL,
	  "With the smallest possible index this access lies before the beginning. Test the lower bound too, or use an unsigned variable." },
	{ "invalid access to map value", NULL,
	  "The access lies outside of the map's value. Compare index and size with value_size; an offset that is a constant is wrong as it stands." },
	{ "invalid access to memory", NULL,
	  "The access lies outside of the memory that this pointer stands for. Compare offset and size with what was asked for when it was made." },
	{ "math between * pointer and register with unbounded", NULL,
	  "An index without a lower or upper bound is added to a pointer. Test both ends first (if (i < 0 || i >= N) return 0;) or use an unsigned variable with one test." },
	{ "makes * pointer be out of bounds", NULL,
	  "The number that is added to the pointer can be so large that the verifier gives up on it. Limit it before it is added." },
	{ "pointer arithmetic on * prohibited, null-check it first", NULL,
	  "The pointer is used before it is known not to be NULL. Put if (!p) return 0; directly after the call that gave it." },
	{ "R* pointer arithmetic on * prohibited", NULL,
	  "This kind of pointer may not be calculated with. Add to a number and use it as an index, or take the address of the member that is meant." },
	{ "invalid zero-sized read", NULL,
	  "The size passed to the helper may be 0, which it does not take. Test for it: if (!size) return 0;" },

	/* memory: which pointer */
	{ "invalid mem access '*_or_null'", NULL,
	  "The pointer may be NULL here. Test it: if (!p) return 0; directly after the lookup or the call that gave it." },
	{ "invalid mem access 'scalar'", NULL,
	  "A number is used as a pointer. Addresses that come from the kernel's structures are read with BPF_CORE_READ() or bpf_probe_read_kernel(), those of a process with bpf_probe_read_user()." },
	/* before 5.18, and without a log line of its own */
	{ "invalid mem access 'inv'", NULL,
	  "A number is used as a pointer. Addresses that come from the kernel's structures are read with BPF_CORE_READ() or bpf_probe_read_kernel(), those of a process with bpf_probe_read_user()." },
	{ "invalid mem access", NULL,
	  "This kind of pointer cannot be read or written through. Memory of the kernel is read with bpf_probe_read_kernel(), of a process with bpf_probe_read_user()." },
	{ "dereference of modified ctx ptr", NULL,
	  "The context must be read through the pointer that the program was given, with a constant offset. Use ctx->field, not a pointer to the field; the compiler is kept from making one by a volatile access." },
	{ "invalid bpf_context access", NULL,
	  "Programs of this type may not read or write this field of the context, or not at this width. See the type's documentation for the fields it has." },
	{ "write into map forbidden", NULL,
	  "This map is read-only for programs: constants (const volatile) and frozen maps are. Set them from user space before loading, or drop the const." },
	{ "only read is supported", NULL,
	  "Structures of the kernel can be read, not written. Change what you need through a helper that is made for it." },
	{ "access beyond struct", NULL,
	  "The offset lies outside of the kernel's structure. The type is not what the pointer really points to, or the field was not looked up by CO-RE: use BPF_CORE_READ() on the right type." },
	{ "misaligned", NULL,
	  "Pointer and size do not fit: an access of N bytes has to begin at a multiple of N. Align the member, or copy it with __builtin_memcpy() or a probe_read helper." },

	/* stack and registers */
	{ "invalid indirect read from stack", NULL,
	  "A helper would read bytes of the stack that were never written; often the padding of a structure. Clear the whole variable first: __builtin_memset(&key, 0, sizeof(key))." },
	{ "invalid read from stack", NULL,
	  "Bytes of the stack are read that were never written, often the padding of a structure. Clear the whole variable first: __builtin_memset(&v, 0, sizeof(v))." },
	{ "combined stack size of", NULL,
	  "512 bytes of stack are shared by a function and all that it calls. Put large buffers into a per-CPU array map of one element, or inline the function so that its variables share the room." },
	{ "stack size * Too large", NULL,
	  "512 bytes of stack are shared by a function and all that it calls. Put large buffers into a per-CPU array map of one element." },
	{ "invalid write to stack", NULL,
	  "The write lies outside of the 512 bytes of stack. Put large buffers into a per-CPU array map of one element; hold an index against the size of its array." },
	{ "invalid variable-offset", NULL,
	  "An array on the stack is used with an index that is not known to lie in it. Test the index first, or keep the array in a map." },
	/* a weak function that is not there is a call of nothing */
	{ "R0 !read_ok", "(85) call #0",
	  "The program calls a kernel function that this kernel does not have. Call it only if (bpf_ksym_exists(f)), and have another way for kernels without it." },
	/* 7.3 */
	{ "R0 !read_ok", "(85) call <error>#0",
	  "The program calls a kernel function that this kernel does not have. Call it only if (bpf_ksym_exists(f)), and have another way for kernels without it." },
	{ "R0 !read_ok", "(95) exit",
	  "The program ends on a path on which it returns nothing. Return a value on every path, also after the last else." },
	{ "!read_ok", NULL,
	  "The register is read on a path on which nothing was put into it: a variable that is not always set, or a value kept in R1 to R5 across a call, which clears them. Give the variable a value where it is declared." },
	{ "frame pointer is read only", NULL,
	  "R10 points to the stack and cannot be changed. Copy it to another register first." },
	{ "leaks addr", NULL,
	  "An address of the kernel would get out, which needs CAP_PERFMON. Return or store a number." },

	/* helpers, kernel functions, types */
	{ "cannot call GPL-restricted function", NULL,
	  "This helper is only for programs whose licence is compatible with the GPL: char LICENSE[] SEC(\"license\") = \"GPL\"; (or \"Dual BSD/GPL\") if that is what it is, else a helper without the restriction." },
	{ "cannot call helper * from non-GPL", NULL,
	  "This helper is only for programs whose licence is compatible with the GPL. Say so in the object's licence if it is, else use a helper without the restriction." },
	/* libbpf's mark for a relocation that did not resolve, as a helper */
	{ "unknown#195896080", NULL,
	  "The program uses a field or a type that this kernel does not have: its CO-RE relocation did not resolve. Guard it with bpf_core_field_exists() or bpf_core_type_exists()." },
	{ "CO-RE relocation", NULL,
	  "The program uses a field or a type that this kernel does not have. Guard it with bpf_core_field_exists() or bpf_core_type_exists(), and read it with a ___suffix type where it has another name." },
	/* 6.0 and 6.1 to 6.12; 7.x says which helper */
	{ "might sleep in a non-sleepable", NULL,
	  "This helper may sleep and the program must not. Use its variant that does not (bpf_probe_read_user for bpf_copy_from_user), or a hook that may sleep: SEC(\"lsm.s/…\"), SEC(\"fentry.s/…\")." },
	{ "sleepable * in non-sleepable prog", NULL,
	  "This function may sleep and the program must not. Use its variant that does not (bpf_probe_read_user for bpf_copy_from_user), or a hook that may sleep: SEC(\"lsm.s/…\"), SEC(\"fentry.s/…\")." },
	{ " is not sleepable", NULL,
	  "Programs may sleep at this hook on later kernels only. Where they are to hash files (sha256 rules, Linux 5.18 and later), give hosts with an older kernel content without such rules." },
	/* 5.10: by number */
	{ "func unknown#193", NULL,
	  "Files are hashed for programs (bpf_ima_file_hash) by Linux 5.18 and later: give hosts with an older kernel content without sha256 rules." },
	{ "unknown func bpf_copy_from_user", NULL,
	  "Programs that must not sleep cannot call this helper. Use bpf_probe_read_user(), or a hook that may sleep: SEC(\"lsm.s/…\"), SEC(\"fentry.s/…\")." },
	{ "helper call is not allowed in probe", NULL,
	  "This helper is not for tracing programs. Move the call into a program of a type that has it." },
	{ "unknown func ", NULL,
	  "This kernel does not have the helper, or not for programs of this type. Use one that the oldest kernel of the fleet has, or choose at run time with bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_…)." },
	{ "program of this type cannot use helper", NULL,
	  "The kernel has this helper, but not for programs of this type. Use another helper or another program type." },
	{ "invalid func unknown", NULL,
	  "This kernel does not have the helper. Use one that the oldest kernel of the fleet has, or choose at run time with bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_…)." },
	{ "cannot call kernel function from non-GPL", NULL,
	  "Kernel functions are only for programs whose licence is compatible with the GPL: char LICENSE[] SEC(\"license\") = \"GPL\"; if that is what it is, else a helper." },
	/* a weak one that is not there, before 5.13 and since */
	{ "BPF_CALL uses reserved fields", NULL,
	  "The program calls a kernel function, which this kernel does not know yet (5.13). Declare it __ksym __weak, call it only if (bpf_ksym_exists(f)), and have another way for kernels without it." },
	{ "kfunc", NULL,
	  "This kernel function is not there, or not for programs of this type. Declare it __ksym __weak, call it only if (bpf_ksym_exists(f)), and have another way for kernels without it." },
	{ "calling kernel function", NULL,
	  "This kernel function is not for programs of this type. Call it where it is allowed, or use a helper." },
	{ "invalid kernel function call", NULL,
	  "This kernel does not have the function, or takes no calls of kernel functions from this type of program. Declare it __ksym __weak and call it only if (bpf_ksym_exists(f))." },
	{ "(ksym) * not found in kernel", NULL,
	  "The kernel has no function or variable of this name. Declare it __weak and test it before use: if (bpf_ksym_exists(f))." },
	{ "(func ksym) * not found in kernel", NULL,
	  "The kernel has no function of this name for programs. Declare it __weak and test it before use: if (bpf_ksym_exists(f))." },
	{ "R* type=* expected=", NULL,
	  "The helper wants another kind of argument in this register. Look at the order of its arguments, and for a pointer that lost its kind: kept as a number, cast, or not tested for NULL." },
	{ "expected prog array map for tail call", NULL,
	  "bpf_tail_call() takes a map of type BPF_MAP_TYPE_PROG_ARRAY as its second argument; this one is of another type." },
	/* before 7.x */
	{ "misconfigured verifier", "call bpf_tail_call",
	  "bpf_tail_call() takes a map of type BPF_MAP_TYPE_PROG_ARRAY as its second argument; this one is of another type." },
	{ "cannot pass map_type", NULL,
	  "This helper does not work on maps of this type. Use the helper that is made for it, or another type of map." },
	{ "Unreleased reference", NULL,
	  "What was acquired must be given back on every path: bpf_sk_release() after a socket lookup, bpf_ringbuf_submit() or _discard() after a reserve, the kfunc that releases what a kfunc acquired. Look at the early returns." },
	{ "would lead to reference leak", NULL,
	  "What was acquired must be given back on every path. Look at the early returns." },
	{ "At program exit the register R0", NULL,
	  "The program returns a value that its hook does not take. Return one of the range in the message: 0 or a negative errno for LSM, 0 or 1 for most cgroup hooks." },
	{ "At subprogram exit the register R0 is not a scalar", NULL,
	  "A global function must return a number. Make it static, or return a number." },

	/* how the program is built */
	{ "unreachable insn", NULL,
	  "There is code that nothing leads to: a loop without an end before it, or code after a return. Remove it, or let the compiler: build with -O2." },
	{ "back-edge from insn", NULL,
	  "There is a loop, and this kernel or this privilege takes none. Unroll it with #pragma unroll, or use bpf_loop() (5.17)." },
	{ "infinite loop detected", NULL,
	  "The loop comes back to the same state: nothing that the verifier follows changes. Count in a local variable and end at a constant number of rounds." },
	{ "BPF program is too large. Processed", NULL,
	  "A million instructions were followed and it was not the end. Bound loops more tightly, put bodies of loops into bpf_loop() (5.17) or global functions, which are verified once, and make fewer decisions inside loops." },
	{ "too large: the kernel takes no program of this size", NULL,
	  "The program has more than a million instructions. Split it with tail calls, or stop the compiler from unrolling." },
	{ "jumps is too complex", NULL,
	  "Too many branches are open at a time. Make fewer decisions inside loops, or put the body of the loop into a function called by bpf_loop() (5.17)." },
	{ "is too complex", NULL,
	  "There are more states than the verifier keeps. Make fewer decisions inside loops, or split the program with global functions or tail calls." },
	{ "last insn is not an exit or jmp", NULL,
	  "The program runs over its end. Return on every path; a function that never returns (__builtin_unreachable, an endless loop) ends like this." },
	{ "jump out of range", NULL,
	  "A jump leads out of its function. Functions must be whole: build with -O2 and no hand-made sections." },
	{ "call stack of * frames is too deep", NULL,
	  "Functions may call each other eight deep. Inline some of them." },
	{ "recursive call", NULL,
	  "A function may not call itself, nor in a circle. Make it a loop with a bound." },
	{ "tail_calls are not allowed when call stack", NULL,
	  "A function that is called before a tail call may use 256 bytes of stack at most. Put large buffers into a per-CPU array map of one element." },
	{ "tail_call", NULL,
	  "This kernel does not take tail calls together with calls of functions. Inline the functions (static __always_inline), or do the tail call in a program without any; x86 takes both since 5.10." },
	{ "Arg#* is not supported yet", NULL,
	  "This kernel takes only numbers and the context as arguments of a global function. Make it static, or pass a number (pointers since 5.12)." },
	{ "arg#* size cannot be determined", NULL,
	  "A global function takes a pointer to a type whose size is not known. Include its definition, or make the function static." },
	{ "arg#* expected", NULL,
	  "An argument is not of the kind that the function takes. Look at its order of arguments, and for a pointer that is not tested for NULL." },
	{ "Caller passes invalid args into func", NULL,
	  "A global function is verified by its signature, and this call does not keep to it. Make the function static so that it is verified where it is called." },
	{ "function calls are not allowed while holding a lock", NULL,
	  "Between bpf_spin_lock() and bpf_spin_unlock() nothing may be called. Do the work before, and hold the lock only for the writes." },
	{ "unsupported alu", NULL,
	  "Pointers may be added to and subtracted from, nothing else. Calculate with a number first." },

	/* where it attaches */
	{ "failed to find kernel BTF type ID", NULL,
	  "The kernel has no function or hook of this name (it may be inlined, or in a module). Attach to one that every kernel of the fleet has, or make the program optional: SEC(\"?…\")." },
	{ "not found in kernel BTF", NULL,
	  "The kernel has no function or type of this name. Use one that every kernel of the fleet has, or make the program optional: SEC(\"?…\")." },
	{ "attach_btf_id", NULL,
	  "The hook is not one that programs of this type can attach to on this kernel. Look at its name and type; make the program optional (SEC(\"?…\")) if only some kernels have it." },
	{ "is not found in vmlinux BTF", NULL,
	  "The kernel has no function or type of this name. Use one that every kernel of the fleet has, or make the program optional: SEC(\"?…\")." },
};

/* Whether the pieces of @pattern between "*" stand in @text in their order. */
static bool matches(const char *text, const char *pattern)
{
	const char *piece = pattern, *end, *at;

	for (; *piece; piece = *end ? end + 1 : end) {
		end = strchrnul(piece, '*');
		at = memmem(text, strlen(text), piece, (size_t)(end - piece));
		if (!at)
			return false;
		text = at + (end - piece);
	}
	return true;
}

static bool stopped_at(const char *log, const char *what)
{
	struct bl_vlog_lines lines;
	size_t i;

	bl_vlog_lines(log, &lines);
	for (i = 0; i < lines.count; i++)
		if (memmem(lines.line[i].text, lines.line[i].len, what,
			   strlen(what)))
			return true;
	return false;
}

const char *bl_hint_for(const char *reason, const char *log)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(hints); i++)
		if (matches(reason, hints[i].reason) &&
		    (!hints[i].at || stopped_at(log, hints[i].at)))
			return hints[i].hint;
	return NULL;
}

static const char *of_undecided(const struct bl_finding *f)
{
	if (f->status == BL_STATUS_REFUSED)
		return "This says nothing about the program: who asked lacks the privilege. Check on kernels of the lab (without --kernel host), or as root where lockdown allows it.";
	if (f->status == BL_STATUS_MISSING)
		return "The running kernel lacks what the program needs, which says nothing about others. Check on the kernels that you ship to.";
	if (strcmp(f->check, "kernel") == 0)
		return "Open the console's log. If the kernel was slow, give it more time (--deadline); if it does not boot, fetch it again (scripts/kernels).";
	return "";
}

const char *bl_hint_of(const struct bl_finding *f)
{
	const char *hint = NULL;

	if (*f->hint)
		return f->hint;
	if (f->verdict == BL_VERDICT_PASS)
		return "";
	if (f->status > BL_STATUS_ACCEPTED)
		hint = bl_hint_for(f->message, f->log);
	if (!hint && f->verdict == BL_VERDICT_UNDECIDED)
		hint = of_undecided(f);
	return hint ? hint : "";
}
