// Package golang is the component repo of programs built with Go. Each has build
// information with the module that it was built from.
//
// A component is a main module, "go/github.com/x/y". Several programs of one module are
// one component, wherever they are. A program without a module is named after the path
// of its main package (GOPATH builds), Go's own tools are all "go/cmd", and a program
// built from single files has its own name.
//
// The modules that were linked into a program, and the standard library, are packages of its
// component.
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
	// maxName bounds the path of a module, in bytes, and maxModules those of a program.
	maxName    = 1024
	maxModules = 1 << 14
)

// Repo is the go repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	return places.Single{Repo: repoName, Is: isCandidate, Packages: packages, MaxRead: maxRead}.Load(t), nil
}

// isCandidate reports whether a file can be a program.
func isCandidate(f *format.File) bool { return f.Mode&0o111 != 0 && f.Size >= Least }

// packages returns the modules that a program was built from, the main one first.
func packages(f *format.File, r io.ReaderAt, _ int64) []assign.Package {
	list := modules(r)
	if len(list) > 0 && list[0].Name == unnamed {
		list[0].Name = assign.Base(f.Path)
	}
	return list
}

// unnamed is the package of a program that was built from files alone.
const unnamed = "command-line-arguments"

// modules returns a program's modules. The first is its main one, or what stands for it.
func modules(r io.ReaderAt) (list []assign.Package) {
	defer func() {
		// The standard library does not promise that hostile files do no more than
		// fail (debug/elf, Security).
		if recover() != nil {
			list = nil
		}
	}()
	magic := make([]byte, 4)
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != "\x7fELF" {
		return nil
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		return nil
	}
	list = add(list, mainModule(info), info.Main.Version)
	if list == nil {
		return nil
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = add(list, m.Path, m.Version)
	}
	return add(list, "stdlib", strings.TrimPrefix(info.GoVersion, "go"))
}

// mainModule returns the path of a program's main module, or what stands for it.
func mainModule(info *buildinfo.BuildInfo) string {
	switch {
	case info.Main.Path != "" && info.Main.Path != unnamed:
		return info.Main.Path
	case strings.HasPrefix(info.Path, "cmd/"):
		return "cmd"
	}
	return info.Path
}

// add adds a module, unless its path is not valid. A module that was built from a checkout has no
// version.
func add(list []assign.Package, path, version string) []assign.Package {
	if path == "" || len(path) > maxName || assign.HasControl(path) || len(list) >= maxModules {
		return list
	}
	if version == "(devel)" || len(version) > maxName {
		version = ""
	}
	return append(list, assign.Package{Name: path, Type: "golang", Version: version})
}
