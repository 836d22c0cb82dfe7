package doctor

import (
	"debug/pe"
	"fmt"
	"io"
	"slices"
	"strings"

	"chunkah/format"
)

// The checks in this file are the fatal checks of "bootc container lint", and one check for sealed
// images. They examine the root as a whole, because some findings are about missing files.

// apiDirs are /var and the directories that a bootable image needs as mount points for file
// systems.
var apiDirs = []string{"/dev", "/proc", "/run", "/sys", "/tmp", "/var"}

// kernelDir contains one directory per kernel, with the kernel in it.
const (
	kernelDir  = "/usr/lib/modules/"
	kernelName = "/vmlinuz"
)

// tree records the facts that checks of a whole root need.
type tree struct {
	types   map[string]format.Type // of the paths in watched, if they exist
	targets map[string]string      // of those that are symlinks
	kernels []string               // directories of the kernels
}

// baseImage is a copy of the root's directories that bootc puts into base images. If the copy
// exists, bootc checks it in the same way as the root.
const baseImage = "/usr/share/doc/bootc/baseimage/base"

// watched are the paths whose types are recorded.
var watched = append([]string{
	"/etc", "/usr/etc", "/var/run", "/sysroot", "/ostree", baseImage, baseImage + "/sysroot", baseImage + "/ostree",
}, apiDirs...)

func (t *tree) observe(f *format.File) {
	switch {
	case slices.Contains(watched, f.Path):
		if t.types == nil {
			t.types, t.targets = make(map[string]format.Type), make(map[string]string)
		}
		t.types[f.Path], t.targets[f.Path] = f.Type, f.Target
	case strings.HasPrefix(f.Path, kernelDir) && strings.HasSuffix(f.Path, kernelName) && strings.Count(f.Path, "/") == 5:
		t.kernels = append(t.kernels, strings.TrimSuffix(f.Path, kernelName))
	}
}

// is reports whether a path exists with the given type.
func (t *tree) is(path string, want format.Type) bool {
	got, found := t.types[path]
	return found && got == want
}

// bootable reports whether the source is meant to boot. Such a source contains a kernel in the
// place that bootable images use, or is labelled as a bootable image.
func (e *Examiner) bootable() bool {
	return e.seen.kernelInUsr || e.opt.Config != nil && e.opt.Config.Labels["containers.bootc"] == "1"
}

// lacks reports whether missing files can be reported. This requires that the source is meant to
// boot and that all its files are known.
func (e *Examiner) lacks() bool { return e.bootable() && e.header.KeepLayers == 0 }

// at returns a finding about paths.
func (f Finding) at(paths ...string) Finding {
	for _, p := range paths {
		f.Places = append(f.Places, Place{Path: p})
	}
	return f
}

func findVarRun(e *Examiner, f Finding) (Finding, bool) {
	if _, found := e.tree.types["/var/run"]; !found || e.tree.is("/var/run", format.TypeSymlink) || !e.bootable() {
		return f, false
	}
	f.Advice = "replace it with a symlink to /run: ln -s ../run var/run"
	return f.at("/var/run"), true
}

func findUsrEtc(e *Examiner, f Finding) (Finding, bool) {
	_, etc := e.tree.types["/etc"]
	if _, usrEtc := e.tree.types["/usr/etc"]; !etc || !usrEtc || !e.bootable() {
		return f, false
	}
	f.Advice = "move its files to /etc, or exclude it: --prune /usr/etc"
	f.Options = []string{"--prune", "/usr/etc"}
	return f.at("/etc/", "/usr/etc/"), true
}

func findKernels(e *Examiner, f Finding) (Finding, bool) {
	if len(e.tree.kernels) < 2 {
		return f, false
	}
	f.Advice = "remove all kernel packages but one, or leave out the directories of the others with --prune"
	var dirs []string
	for _, dir := range e.tree.kernels {
		dirs = append(dirs, dir+"/")
	}
	return f.at(dirs...), true
}

func findAPIDirs(e *Examiner, f Finding) (Finding, bool) {
	if !e.lacks() {
		return f, false
	}
	var missing, make []string
	for _, dir := range apiDirs {
		if !e.tree.is(dir, format.TypeDir) {
			missing, make = append(missing, dir), append(make, dir[1:])
		}
	}
	f.Advice = "create empty directories when building the root: mkdir " + words(make) + "; --prune with a slash at the end keeps a directory"
	return f.at(missing...), len(missing) > 0
}

func findOSTreeLink(e *Examiner, f Finding) (Finding, bool) {
	if !e.lacks() {
		return f, false
	}
	in := []string{""}
	if e.tree.is(baseImage, format.TypeDir) {
		in = append(in, baseImage)
	}
	var advice []string
	for _, dir := range in {
		sysroot, link := dir+"/sysroot", dir+"/ostree"
		if e.tree.is(sysroot, format.TypeDir) && e.tree.is(link, format.TypeSymlink) && e.tree.targets[link] == "sysroot/ostree" {
			continue
		}
		f = f.at(link, sysroot)
		advice = append(advice, "mkdir -p "+sysroot[1:]+" && ln -s sysroot/ostree "+link[1:])
	}
	f.Advice = "create both when building the root: " + strings.Join(advice, " && ")
	return f, len(advice) > 0
}

// maxCommandLine is the largest size of the command line in a kernel image, in bytes.
const maxCommandLine = 64 << 10

// isSealed reports whether a file is a unified kernel image whose command line contains the digest
// of the file system to which it belongs.
func isSealed(e *Examiner, f *format.File) (sealed bool, err error) {
	if f.Type != format.TypeFile {
		return false, nil
	}
	file, err := e.opt.Root.OpenFile(f.Path)
	if err != nil {
		return false, err
	}
	defer file.Close() // it was only read
	defer func() {
		if recover() != nil { // debug/pe is not safe for hostile files
			sealed = false
		}
	}()
	image, err := pe.NewFile(file)
	if err != nil {
		return false, nil
	}
	section := image.Section(".cmdline")
	if section == nil {
		return false, nil
	}
	line, err := io.ReadAll(io.LimitReader(section.Open(), maxCommandLine))
	if err != nil {
		return false, fmt.Errorf("reading %q: %w", f.Path, err)
	}
	return slices.ContainsFunc(strings.Fields(strings.Trim(string(line), "\x00")), func(word string) bool {
		return strings.HasPrefix(word, "composefs=")
	}), nil
}

func adviseSealed(*Examiner, *collection) (string, []string) {
	return "build the image without the sealed kernel image, and seal the result: compute the composefs digest of the new image, and add a kernel image with this digest as the last layer", nil
}
