//go:build linux && amd64

// Package inject runs a command and lets one of its system calls go wrong, as a
// failing disk, a full one or a signal would have it. It stands between the command
// and the kernel as a debugger does, so that it needs nothing of the command, and
// counts the calls of all threads together, so that each call has its turn.
package inject

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Call is a system call that a command makes.
type Call struct {
	Name string // as man pages have it, such as "pread64"
	Path string // what it is about; empty where it is about no file
}

func (c Call) String() string { return fmt.Sprintf("%s %q", c.Name, c.Path) }

// Fault is what becomes of one call. The zero Fault leaves a command as it is.
type Fault struct {
	// Counts tells which calls count; nil for none.
	Counts func(Call) bool
	// At is the one of them that goes wrong, from 1.
	At int

	// Errno is what it ends with, undone.
	Errno syscall.Errno
	// Short lets a read or write move half of the bytes asked for.
	Short bool
	// Signal is sent to the process as it makes the call.
	Signal syscall.Signal
}

// Outcome is how a command ended.
type Outcome struct {
	Status syscall.WaitStatus
	Hit    *Call // that went wrong; nil where the command made too few
	Calls  int   // that counted
	Hung   bool  // it had to be killed
}

// patience is how long a command may take: a thousand times what it needs alone.
const patience = 60 * time.Second

// Run runs the command to its end, whatever that is.
func Run(cmd *exec.Cmd, f Fault) (out Outcome, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Whoever traces is a thread. It is not given back: it may know of stopped children.
		runtime.LockOSThread()
		t := tracer{cmd: cmd, fault: f, threads: map[int]*thread{}}
		err = t.run()
		out = t.out
	}()
	<-done
	return out, err
}

// tracer follows a command and all that it starts.
type tracer struct {
	cmd     *exec.Cmd
	fault   Fault
	out     Outcome
	threads map[int]*thread
}

// thread is one thread between two stops.
type thread struct {
	// undo are the registers of a call that was tampered with, nil for none, and
	// end is what it is to return, unless that is 0.
	undo *unix.PtraceRegs
	end  syscall.Errno
}

const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
	unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_EXITKILL

func (t *tracer) run() error {
	if t.cmd.SysProcAttr == nil {
		t.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	t.cmd.SysProcAttr.Ptrace = true
	if err := t.cmd.Start(); err != nil {
		return err
	}
	pid := t.cmd.Process.Pid
	timer := time.AfterFunc(patience, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	err := t.follow(pid)
	t.out.Hung = !timer.Stop()
	_ = t.cmd.Wait() // for its pipes: the process has been waited for
	return err
}

// follow lets the command go on from stop to stop.
func (t *tracer) follow(pid int) error {
	var status syscall.WaitStatus
	if _, err := wait(pid, &status); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return err
	}
	t.threads[pid] = &thread{}
	resume(pid, 0)
	for {
		tid, err := wait(-1, &status)
		if errors.Is(err, unix.ECHILD) {
			return nil
		}
		if err != nil {
			return err
		}
		if status.Exited() || status.Signaled() {
			if delete(t.threads, tid); tid == pid {
				t.out.Status = status
			}
			continue
		}
		resume(tid, t.stopped(pid, tid, status))
	}
}

// wait waits for this thread's own children: other tests have theirs.
func wait(pid int, status *syscall.WaitStatus) (int, error) {
	for {
		tid, err := syscall.Wait4(pid, status, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return tid, err
		}
	}
}

// resume lets a thread run to its next call. One that has been killed is gone.
func resume(tid int, sig syscall.Signal) { _ = unix.PtraceSyscall(tid, int(sig)) }

// stopped looks why a thread has stopped, and returns the signal that it is to get.
func (t *tracer) stopped(pid, tid int, status syscall.WaitStatus) syscall.Signal {
	th := t.threads[tid]
	isNew := th == nil
	if isNew {
		th = &thread{}
		t.threads[tid] = th
	}
	sig := status.StopSignal()
	switch {
	case sig == syscall.SIGTRAP|0x80: // a call, by PTRACE_O_TRACESYSGOOD
		t.call(pid, tid, th)
		return 0
	case sig == syscall.SIGTRAP && status.TrapCause() > 0: // a child
		return 0
	case sig == syscall.SIGSTOP && isNew: // how a child begins
		return 0
	}
	return sig
}

// call is the beginning or the end of a call.
func (t *tracer) call(pid, tid int, th *thread) {
	info, ok := callInfo(tid)
	switch {
	case !ok:
	case info.op == opEntry:
		t.entered(pid, tid, th, info)
	case info.op == opExit && th.undo != nil:
		th.leave(tid)
	}
}

func (t *tracer) entered(pid, tid int, th *thread, info info) {
	if t.fault.Counts == nil {
		return
	}
	call, ok := describe(tid, info)
	if !ok || !t.fault.Counts(call) {
		return
	}
	if t.out.Calls++; t.out.Calls != t.fault.At {
		return
	}
	t.out.Hit = &call
	switch {
	case t.fault.Signal != 0:
		_ = syscall.Kill(pid, t.fault.Signal)
	case t.fault.Errno != 0:
		th.tamper(tid, t.fault.Errno, func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) }) // no such call
	case t.fault.Short:
		th.tamper(tid, 0, func(r *unix.PtraceRegs) {
			n := count(call.Name, r)
			*n = (*n + 1) / 2
		})
	}
}

// tamper changes a call that begins.
func (th *thread) tamper(tid int, end syscall.Errno, change func(*unix.PtraceRegs)) {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	was := regs
	th.undo, th.end = &was, end
	change(&regs)
	_ = unix.PtraceSetRegs(tid, &regs)
}

// leave ends a call that was tampered with: a call keeps all registers but the result.
func (th *thread) leave(tid int) {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) == nil {
		if th.end != 0 {
			regs.Rax = uint64(-int64(th.end))
		}
		regs.Rdx, regs.R8 = th.undo.Rdx, th.undo.R8
		_ = unix.PtraceSetRegs(tid, &regs)
	}
	th.undo = nil
}
