//go:build linux && amd64

// Package inject runs a command and changes one of its system calls. The call fails, as on a faulty
// or full disk, or transfers fewer bytes, or a signal is sent when the call starts. The package
// traces the command like a debugger, so the command does not have to be modified. The calls of all
// threads are counted together.
package inject

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Call is a system call that a command makes.
type Call struct {
	Name string // as in man pages, for example "pread64"
	Path string // the file; empty if there is none
}

func (c Call) String() string { return fmt.Sprintf("%s %q", c.Name, c.Path) }

// Fault changes one call. The zero Fault changes nothing.
type Fault struct {
	// Counts reports whether a call is counted. If it is nil, no call is counted.
	Counts func(Call) bool
	// At is the number of the counted call that is changed, starting at 1.
	At int

	// Errno is the error of the call, which is not executed.
	Errno syscall.Errno
	// Short makes a read or write transfer only half of the bytes.
	Short bool
	// Signal is sent to the process at the entry of the call.
	Signal syscall.Signal
}

// Outcome is the result of a command.
type Outcome struct {
	Status syscall.WaitStatus
	Hit    *Call // the changed call; nil if there were too few calls
	Calls  int   // number of counted calls, up to the changed one
	Hung   bool  // the command had to be killed
}

// patience limits the run time of a command. It is a thousand times the usual run time.
const patience = 60 * time.Second

// Run runs the command until it ends, successfully or not.
func Run(cmd *exec.Cmd, f Fault) (out Outcome, err error) {
	done := make(chan struct{})
	var onThread func()
	onThread = func() {
		// Only this thread may trace the command. The thread stays locked to this goroutine,
		// because it can still have stopped children.
		runtime.LockOSThread()
		if hasChildren() {
			// The tracer would also wait for the children of this thread, which belong to another
			// test. While this thread is locked, the next goroutine gets another thread.
			defer runtime.UnlockOSThread()
			go onThread()
			<-done
			return
		}
		defer close(done)
		t := tracer{cmd: cmd, fault: f, threads: map[int]*thread{}}
		err = t.run()
		out = t.out
	}
	go onThread()
	<-done
	return out, err
}

// hasChildren reports whether this thread started a process that nobody has waited for yet.
func hasChildren() bool {
	pids, err := os.ReadFile("/proc/thread-self/children")
	return err == nil && len(pids) > 0
}

// tracer follows a command and its children.
type tracer struct {
	cmd     *exec.Cmd
	fault   Fault
	out     Outcome
	threads map[int]*thread
}

// thread is one thread between two stops.
type thread struct {
	// undo contains the original registers of a changed call, or nil if no call is changed. If end
	// is not 0, it is the error that the call returns.
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
	_ = t.cmd.Wait() // for its pipes: the process has already been waited for
	return err
}

// follow continues the command from stop to stop.
func (t *tracer) follow(pid int) error {
	var status syscall.WaitStatus
	if _, err := wait(pid, &status); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return err
	}
	t.threads[pid] = &thread{}
	t.resume(pid, 0)
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
		t.resume(tid, t.stopped(pid, tid, status))
	}
}

// wait waits only for this thread's children, because the children of other threads belong to other
// tests.
func wait(pid int, status *syscall.WaitStatus) (int, error) {
	for {
		tid, err := syscall.Wait4(pid, status, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return tid, err
		}
	}
}

// resume resumes a thread until its next system call if calls are still counted, or until the end
// of the changed call. It ignores a killed thread.
func (t *tracer) resume(tid int, sig syscall.Signal) {
	counting := t.fault.Counts != nil && t.out.Hit == nil
	if th := t.threads[tid]; counting || th != nil && th.undo != nil {
		_ = unix.PtraceSyscall(tid, int(sig))
		return
	}
	_ = unix.PtraceCont(tid, int(sig))
}

// stopped handles the stop of a thread, and returns the signal to deliver.
func (t *tracer) stopped(pid, tid int, status syscall.WaitStatus) syscall.Signal {
	th := t.threads[tid]
	isNew := th == nil
	if isNew {
		th = &thread{}
		t.threads[tid] = th
	}
	sig := status.StopSignal()
	switch {
	case sig == syscall.SIGTRAP|0x80: // a system call, marked by PTRACE_O_TRACESYSGOOD
		t.call(pid, tid, th)
		return 0
	case sig == syscall.SIGTRAP && status.TrapCause() > 0: // a new child
		return 0
	case sig == syscall.SIGSTOP && isNew: // the start of a new child
		return 0
	}
	return sig
}

// call handles the entry or the exit of a system call.
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
		th.tamper(tid, t.fault.Errno, func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) }) // an invalid call
	case t.fault.Short:
		th.tamper(tid, 0, func(r *unix.PtraceRegs) {
			n := count(call.Name, r)
			*n = (*n + 1) / 2
		})
	}
}

// tamper changes a call at entry.
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

// leave restores the registers after a changed call, except for the register that contains the
// result.
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
