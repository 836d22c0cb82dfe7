// Package dotnet is the component repo of .NET: shared frameworks, and the NuGet packages in
// published applications, anywhere in a tree.
//
// # Frameworks
//
// ROOT/shared/FRAMEWORK/VERSION/FRAMEWORK.deps.json describes a shared framework. All its versions
// are one component, for example "dotnet/Microsoft.AspNetCore.App". The dotnet command and the host
// are updated with Microsoft.NETCore.App and belong to it. The other files of an SDK are
// "dotnet/sdk".
//
// # Applications
//
// APP.deps.json, next to APP.dll, lists the packages with which an application was published. A
// package of at least places.Least bytes is the component "dotnet/PACKAGE". A smaller package
// belongs to the package that depends on it and that the application references (see
// places.Gather). A package owns the listed files that exist: assemblies beside the application,
// native libraries in runtimes, and translations in one directory per language. A self-contained
// application lists its runtime as a package. deps.json changes whenever a package changes, so it
// belongs to "dotnet/.database".
//
// Copies in another place are "dotnet/NAME@PLACE" (see package places). A deps.json that
// cannot be read causes a warning, and its packages stay unclaimed.
package dotnet

import (
	"context"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName = "dotnet"
	suffix   = ".deps.json"
	// core is the framework that is updated together with the host. sdk is the component for SDKs.
	core = "Microsoft.NETCore.App"
	sdk  = "sdk"
)

// sdkDirs are the SDK's directories beside the frameworks. hostFiles are the files and directories
// beside the frameworks that belong to core.
var (
	sdkDirs   = []string{"sdk", "sdk-manifests", "packs", "templates", "metadata"}
	hostDir   = "host"
	hostFiles = []string{"dotnet", "LICENSE.txt", "ThirdPartyNotices.txt"}
)

// Repo is the .NET repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(repoName, t), roots: make(map[string]bool)}
	var apps []int
	for i, f := range t.Files {
		if !strings.HasSuffix(f.Path, suffix) || f.Type != format.TypeFile || t.Claimed(i) {
			continue
		}
		if root, name, found := framework(f.Path); found {
			l.claimFramework(root, name, format.Parent(f.Path))
		} else if _, found := t.Lookup(strings.TrimSuffix(f.Path, suffix) + ".dll"); found {
			apps = append(apps, i)
		}
	}
	for _, i := range apps {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if l.isBelowRoot(t.Files[i].Path) {
			continue // a program in the SDK
		}
		if err := l.claimApp(i); err != nil {
			return nil, err
		}
	}
	return l.out.Result(), nil
}

type loader struct {
	tree  *assign.Tree
	out   *places.Collector
	roots map[string]bool // directories with a shared framework
}

// framework returns ROOT and NAME from a path ROOT/shared/NAME/VERSION/NAME.deps.json.
func framework(path string) (root, name string, found bool) {
	name = strings.TrimSuffix(format.Base(path), suffix)
	dir := format.Parent(format.Parent(path))
	shared := format.Parent(dir)
	return format.Parent(shared), name, name != "" && format.Base(dir) == name && format.Base(shared) == "shared"
}

// claimFramework claims one version of a shared framework, and, once per root, the files
// beside the frameworks.
func (l *loader) claimFramework(root, name, dir string) {
	p := l.out.AddVersion(root, name)
	p.Type, p.Version = "nuget", format.Text(format.Base(dir))
	l.out.ClaimBelow(p, dir)
	if l.roots[root] {
		return
	}
	l.roots[root] = true
	for _, dir := range sdkDirs {
		l.out.ClaimBelow(l.out.Component(root, sdk), format.Join(root, dir))
	}
	host := l.out.Component(root, core)
	l.out.ClaimBelow(host, format.Join(root, hostDir))
	for _, file := range hostFiles {
		if i, found := l.tree.Lookup(format.Join(root, file)); found && l.tree.Files[i].Type == format.TypeFile {
			l.out.Claim(host, i)
		}
	}
}

// isBelowRoot reports whether a path is below a directory with a shared framework.
func (l *loader) isBelowRoot(path string) bool {
	for dir := format.Parent(path); dir != "/"; dir = format.Parent(dir) {
		name := format.Base(dir)
		if l.roots[format.Parent(dir)] && (name == "shared" || slices.Contains(sdkDirs, name)) {
			return true
		}
	}
	return false
}

// claimApp claims the packages of an application. record is its deps.json.
func (l *loader) claimApp(record int) error {
	path := l.tree.Files[record].Path
	libraries, fault, err := places.Parse(l.tree, record, maxDeps, parse)
	if err != nil {
		return err
	}
	if fault != nil {
		l.out.Warn("application %q: %v", path, fault)
		return nil
	}
	dir := format.Parent(path)
	files := l.findFiles(dir, libraries)
	l.claimLibraries(dir, libraries, files)
	l.out.Own(record)
	return nil
}

// findFiles returns the records of each package's files. A file that several packages list belongs
// to the first of these packages.
func (l *loader) findFiles(dir string, libraries []*library) [][]int {
	found := make([][]int, len(libraries))
	owned := make(map[int]bool)
	for at, lib := range libraries {
		if lib.isOwn {
			continue
		}
		for _, name := range lib.files {
			i, there := l.tree.Lookup(format.Join(dir, name))
			if !there || owned[i] || l.tree.Files[i].Type != format.TypeFile || l.tree.Claimed(i) {
				continue
			}
			owned[i] = true
			found[at] = append(found[at], i)
			lib.Size += max(l.tree.Files[i].Size, 0)
		}
	}
	return found
}

// claimLibraries groups the packages of an application and claims their files.
func (l *loader) claimLibraries(dir string, libraries []*library, files [][]int) {
	var asked []int
	for _, lib := range libraries {
		if lib.isOwn {
			asked = append(asked, lib.Needs...)
			lib.Needs = nil // packages are not grouped with the application's own code
		}
	}
	places.Gather(libraries, asked)
	for i, lib := range libraries {
		if len(files[i]) == 0 {
			continue
		}
		of := libraries[lib.Group]
		p := l.out.Add(dir, of.Name)
		if of != lib {
			p = l.out.AddTo(p, lib.Name)
		}
		p.Type, p.Version = "nuget", lib.version
		for _, file := range files[i] {
			l.out.Claim(p, file)
		}
	}
}
