//go:build linux && amd64

package inject

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Values of PTRACE_GET_SYSCALL_INFO.
const (
	opEntry = 1
	opExit  = 2
)

// info describes a system call at entry.
type info struct {
	op     byte
	number uint64
	args   [6]uint64
}

// callInfo returns the reason why a thread has stopped.
func callInfo(tid int) (info, bool) {
	// This is struct ptrace_syscall_info. Byte 0 is op. At syscall entry, the call's number and
	// arguments begin at byte 24.
	var raw [96]byte
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(raw),
		uintptr(unsafe.Pointer(&raw[0])), 0, 0)
	if errno != 0 {
		return info{}, false
	}
	in := info{op: raw[0], number: *(*uint64)(unsafe.Pointer(&raw[24]))}
	for i := range in.args {
		in.args[i] = *(*uint64)(unsafe.Pointer(&raw[32+8*i]))
	}
	return in, true
}

// form specifies the arguments that identify the file of a call: argument fd contains the
// descriptor, and argument path contains the path relative to the descriptor. -1 means that the
// call has no such argument.
type form struct {
	name     string
	fd, path int
}

// count returns the argument that contains the number of bytes to transfer.
func count(name string, r *unix.PtraceRegs) *uint64 {
	if name == "copy_file_range" {
		return &r.R8
	}
	return &r.Rdx
}

// forms lists the system calls on files.
var forms = map[uint64]form{
	unix.SYS_READ: {"read", 0, -1}, unix.SYS_PREAD64: {"pread64", 0, -1}, unix.SYS_READV: {"readv", 0, -1},
	unix.SYS_WRITE: {"write", 0, -1}, unix.SYS_PWRITE64: {"pwrite64", 0, -1}, unix.SYS_WRITEV: {"writev", 0, -1},
	unix.SYS_OPENAT: {"openat", 0, 1}, unix.SYS_OPENAT2: {"openat2", 0, 1}, unix.SYS_GETDENTS64: {"getdents64", 0, -1},
	unix.SYS_FSTAT: {"fstat", 0, -1}, unix.SYS_NEWFSTATAT: {"newfstatat", 0, 1}, unix.SYS_STATX: {"statx", 0, 1},
	unix.SYS_READLINKAT: {"readlinkat", 0, 1}, unix.SYS_FACCESSAT: {"faccessat", 0, 1}, unix.SYS_FACCESSAT2: {"faccessat2", 0, 1},
	unix.SYS_LSEEK: {"lseek", 0, -1}, unix.SYS_FSYNC: {"fsync", 0, -1}, unix.SYS_FTRUNCATE: {"ftruncate", 0, -1},
	unix.SYS_RENAMEAT: {"renameat", 0, 1}, unix.SYS_UNLINKAT: {"unlinkat", 0, 1}, unix.SYS_MKDIRAT: {"mkdirat", 0, 1},
	unix.SYS_FCHMOD: {"fchmod", 0, -1}, unix.SYS_FLOCK: {"flock", 0, -1}, unix.SYS_CLOSE: {"close", 0, -1},
	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", 2, -1}, unix.SYS_SENDFILE: {"sendfile", 0, -1},
	unix.SYS_SPLICE: {"splice", 2, -1}, unix.SYS_SYNC_FILE_RANGE: {"sync_file_range", 0, -1},
	unix.SYS_FADVISE64: {"fadvise64", 0, -1}, unix.SYS_UTIMENSAT: {"utimensat", 0, 1}, unix.SYS_STATFS: {"statfs", -1, 0},
	unix.SYS_LISTXATTRAT: {"listxattrat", 0, 1}, unix.SYS_FGETXATTR: {"fgetxattr", 0, -1}, unix.SYS_FLISTXATTR: {"flistxattr", 0, -1},
	unix.SYS_LGETXATTR: {"lgetxattr", -1, 0}, unix.SYS_LLISTXATTR: {"llistxattr", -1, 0},
	unix.SYS_GETXATTR: {"getxattr", -1, 0}, unix.SYS_LISTXATTR: {"listxattr", -1, 0},
}

// describe returns the call if it is a call on a file.
func describe(tid int, in info) (Call, bool) {
	f, ok := forms[in.number]
	if !ok {
		return Call{}, false
	}
	dir, name := "", ""
	if f.path >= 0 {
		name = text(tid, in.args[f.path])
	}
	if f.fd >= 0 && !filepath.IsAbs(name) {
		dir = descriptor(tid, int32(in.args[f.fd]))
	}
	return Call{Name: f.name, Path: filepath.Clean(filepath.Join(dir, name))}, true
}

// descriptor returns the path of a thread's open file.
func descriptor(tid int, fd int32) string {
	place := fmt.Sprintf("/proc/%d/fd/%d", tid, fd)
	if fd == unix.AT_FDCWD {
		place = fmt.Sprintf("/proc/%d/cwd", tid)
	}
	path, err := os.Readlink(place)
	if err != nil {
		return ""
	}
	return path
}

// text reads a string from a thread's memory.
func text(tid int, at uint64) string {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return ""
	}
	defer mem.Close()
	buf := make([]byte, unix.PathMax)
	n, _ := mem.ReadAt(buf, int64(at)) // the memory can end before the buffer is full
	name, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(name)
}
