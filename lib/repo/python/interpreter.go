package python

import (
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// interpreter is a Python that was built from source: by hand, by pyenv, or by a third party, like
// the builds that uv downloads. Its marker is PREFIX/lib/pythonX.Y/os.py together with
// PREFIX/bin/pythonX.Y.
type interpreter struct {
	prefix  string
	version string // X.Y, or X.Yt for a build without the global interpreter lock
}

// findInterpreters returns the interpreters that no other repo has claimed.
func findInterpreters(t *assign.Tree) (list []interpreter) {
	for i, f := range t.Files {
		dir, found := strings.CutSuffix(f.Path, "/os.py")
		if !found || f.Type != format.TypeFile || t.Claimed(i) {
			continue
		}
		version, found := strings.CutPrefix(format.Base(dir), "python")
		lib := format.Parent(dir)
		if !found || !isVersion(version) || format.Base(lib) != "lib" {
			continue
		}
		prefix := format.Parent(lib)
		if program, found := t.Lookup(format.Join(prefix, "bin/python"+version)); found && !t.Claimed(program) {
			list = append(list, interpreter{prefix, version})
		}
	}
	return list
}

// isVersion reports whether a string is X.Y or X.Yt.
func isVersion(text string) bool {
	major, minor, found := strings.Cut(strings.TrimSuffix(text, "t"), ".")
	return found && isNumber(major) && isNumber(minor)
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// claimInterpreter claims the files that "make install" installed and that belong to no
// distribution.
func (l *loader) claimInterpreter(in interpreter) {
	p := l.out.Add(in.prefix, "cpython-"+in.version)
	dirs := []string{"lib/python" + in.version, "lib64/python" + in.version, "include/python" + in.version}
	if in.isAlone() {
		dirs = []string{""}
	}
	for _, dir := range dirs {
		from, to := l.tree.Below(strings.TrimSuffix(format.Join(in.prefix, dir), "/"))
		for i := from; i < to; i++ {
			if !isInstalled(l.tree.Files[i].Path[len(in.prefix):]) {
				l.claim(p, i)
			}
		}
	}
	for _, name := range in.files() {
		if i, found := l.tree.Lookup(format.Join(in.prefix, name)); found && l.tree.Files[i].Type != format.TypeDir {
			l.claim(p, i)
		}
	}
}

// isInstalled reports whether a path is in a directory of the prefix in which distributions are
// installed.
func isInstalled(path string) bool {
	return strings.Contains(path, "/site-packages/") || strings.Contains(path, "/dist-packages/")
}

// isAlone reports whether the prefix contains only this Python. The name of the prefix indicates
// this: versions/3.12.4 for pyenv, cpython-3.12.4-linux-x86_64-gnu for uv.
func (in interpreter) isAlone() bool {
	base, version := format.Base(in.prefix), strings.TrimSuffix(in.version, "t")
	_, rest, found := strings.Cut(base, version)
	return found && (rest == "" || !isNumber(rest[:1]))
}

// files returns the names of the interpreter's files in directories that it shares with other
// programs. Names without a version belong to the first Python in a prefix.
func (in interpreter) files() (names []string) {
	major, _, _ := strings.Cut(in.version, ".")
	for _, version := range []string{"", major, in.version, "-" + in.version} {
		for _, program := range []string{"python", "idle", "pydoc", "pyvenv", "2to3"} {
			for _, suffix := range []string{"", "-config", "-gdb.py"} {
				names = append(names, "bin/"+program+version+suffix)
			}
		}
		for _, suffix := range []string{".so", ".so.1.0", ".a"} {
			names = append(names, "lib/libpython"+version+suffix)
		}
		for _, suffix := range []string{".pc", "-embed.pc"} {
			names = append(names, "lib/pkgconfig/python"+version+suffix)
		}
		names = append(names, "share/man/man1/python"+version+".1")
	}
	return names
}
