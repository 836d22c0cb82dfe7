// Package golang is the component repo of programs built with Go. Each program contains build
// information that names its main module.
//
// A component is a main module, "go/github.com/x/y". Programs of the same module are one component,
// in any directory. A program without a module (a GOPATH build) is named after its main package's
// path. Go's own tools are all "go/cmd". A program built from single files is named after itself.
//
// The repo reads executable regular ELF files of at least 64 KiB. It claims them as a
// fallback, so a package that lists the file takes precedence over build information. Programs
// without readable build information are not claimed. They cause no warning, because most programs
// are not written in Go.
package golang

import (
	"context"
	"debug/buildinfo"
	"io"
	"strings"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName = "go"
	// least is the smallest size of a program that is read, in bytes. No program that contains Go's
	// runtime is smaller.
	least = 64 << 10
	// maxRead is the largest number of bytes read from one program. Build information is usually
	// found after a few hundred bytes. In a program without build information, all writable data
	// are searched.
	maxRead = 32 << 20
	// maxName is the longest module path, in bytes. maxModules is the largest number of modules in
	// one program.
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
func isCandidate(f *format.File) bool { return f.Mode&0o111 != 0 && f.Size >= least }

// packages returns the modules that a program was built from, with the main module first, and the
// time of the main module's commit.
func packages(f *format.File, r io.ReaderAt, _ int64) ([]assign.Package, time.Time) {
	list, committed := modules(r)
	if len(list) > 0 && list[0].Name == unnamed {
		list[0].Name = format.Base(f.Path)
	}
	return list, committed
}

// unnamed is the main package's path in a program that was built from single files.
const unnamed = "command-line-arguments"

// modules returns a program's modules. The first module is the program's main module, or a
// substitute. committed is the time of the main module's commit, or zero.
func modules(r io.ReaderAt) (list []assign.Package, committed time.Time) {
	defer func() {
		// The standard library does not guarantee that hostile files cause only errors (see
		// debug/elf, section "Security").
		if recover() != nil {
			list, committed = nil, time.Time{}
		}
	}()
	magic := make([]byte, 4)
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != "\x7fELF" {
		return nil, committed
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		return nil, committed
	}
	list = add(list, mainModule(info), info.Main.Version)
	if list == nil {
		return nil, committed
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = add(list, m.Path, m.Version)
	}
	return add(list, "stdlib", strings.TrimPrefix(info.GoVersion, "go")), commitTime(info)
}

// commitTime returns the time of the commit that a program was built from. A program that was built
// from a checkout contains the time. Otherwise the time is taken from the version, if that is a
// pseudo-version such as v0.0.0-20231010123456-abcdef123456. Release versions contain no time.
func commitTime(info *buildinfo.BuildInfo) time.Time {
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			return places.ParseTime(s.Value, time.RFC3339)
		}
	}
	const layout = "20060102150405"
	version, _, _ := strings.Cut(info.Main.Version, "+")
	words := strings.Split(version, "-")
	if len(words) < 3 {
		return time.Time{}
	}
	text := words[len(words)-2]
	return places.ParseTime(text[strings.LastIndex(text, ".")+1:], layout)
}

// mainModule returns the path of a program's main module, or a substitute.
func mainModule(info *buildinfo.BuildInfo) string {
	switch {
	case info.Main.Path != "" && info.Main.Path != unnamed:
		return info.Main.Path
	case strings.HasPrefix(info.Path, "cmd/"):
		return "cmd"
	}
	return info.Path
}

// add adds a module if its path is valid. A module that was built from a checkout has no version.
func add(list []assign.Package, path, version string) []assign.Package {
	if path == "" || len(path) > maxName || assign.HasControl(path) || len(list) >= maxModules {
		return list
	}
	if version == "(devel)" || len(version) > maxName {
		version = ""
	}
	return append(list, assign.Package{Name: path, Type: "golang", Version: version})
}
