// Package golang is the component repo of programs built with Go. Each has build
// information with the module that it was built from.
//
// A component is a main module, "go/github.com/x/y". Several programs of one module are
// one component, wherever they are. A program without a module is named after the path
// of its main package (GOPATH builds), Go's own tools are all "go/cmd", and a program
// built from single files has its own name.
//
// It looks at regular files of at least Least bytes that are executable and begin as ELF.
// It claims them as a fallback: build information counts for less than a package that
// lists the file. Programs that it cannot read are left unclaimed, without a warning: most
// programs are not written in Go.
package golang

import (
	"context"
	"debug/buildinfo"
	"io"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName = "go"
	// Least is the size of the smallest file that is looked at, in bytes: no
	// program that has Go's runtime in it is smaller.
	Least = 64 << 10
	// maxRead bounds what is read of one program, in bytes. Build information is
	// found by a few hundred; without it, all of the writable data is searched.
	maxRead = 32 << 20
	// maxName bounds the path of a module, in bytes.
	maxName = 1024
)

// Repo is the go repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	return places.Single{Repo: repoName, Is: isCandidate, Name: name, MaxRead: maxRead}.Load(t), nil
}

// isCandidate reports whether a file can be a program.
func isCandidate(f *format.File) bool { return f.Mode&0o111 != 0 && f.Size >= Least }

// name returns what a program is named after.
func name(f *format.File, r io.ReaderAt, _ int64) string {
	name := mainModule(r)
	if name == unnamed {
		name = assign.Base(f.Path)
	}
	return name
}

// unnamed is the package of a program that was built from files alone.
const unnamed = "command-line-arguments"

// mainModule returns the path of a program's main module, or what stands for it.
func mainModule(r io.ReaderAt) (name string) {
	defer func() {
		// The standard library does not promise that hostile files do no more than
		// fail (debug/elf, Security).
		if recover() != nil {
			name = ""
		}
	}()
	magic := make([]byte, 4)
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != "\x7fELF" {
		return ""
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		return ""
	}
	switch {
	case info.Main.Path != "" && info.Main.Path != unnamed:
		name = info.Main.Path
	case strings.HasPrefix(info.Path, "cmd/"):
		name = "cmd"
	default:
		name = info.Path
	}
	if len(name) > maxName || assign.HasControl(name) {
		return ""
	}
	return name
}
