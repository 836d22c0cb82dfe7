package tests

import (
	"archive/tar"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
	"chunkah/tests/treediff"
)

// refused marks a layer that podman refuses.
const refused = "refused"

// oddLayer is a layer on oddBase that runtimes treat differently, or not as described in the image
// specification.
type oddLayer struct {
	name    string
	entries []mk.Entry
	// overlay and vfs are the differences from podman's tree with these drivers. They contain
	// refused if podman refuses the image.
	overlay, vfs []string
	why          string
}

func oddMeta(h *tar.Header) { h.Mode, h.Uid, h.Gid = 0o700, 1, 2 }

func oddBase() []mk.Entry {
	return []mk.Entry{
		mk.Dir("d").But(oddMeta).Xattr("user.x", "1"), mk.Dir("d/e"), mk.File("d/e/x", "x"), mk.File("d/f", "f"), mk.File("g", "g"),
		mk.Dir("usr"), mk.Dir("usr/lib"), mk.Symlink("lib", "usr/lib"), mk.File("usr/lib/old", "old"),
	}
}

// lost is the effect of overlay storage on a directory that has files in a layer but no entry. The
// new directory in the layer has its own metadata, and these metadata take effect. According to the
// specification, layers contain "Added and modified files and directories", so a directory without
// an entry is not modified. vfs storage follows the specification.
var lost = []string{
	`"/d": mode: 0700 and 0755`, `"/d": uid: 1 and 0`, `"/d": gid: 2 and 0`, `"/d": xattr user.x: "1" and none`,
}

const (
	lowerOnly = `"Whiteout files MUST only apply to resources in lower/parent layers."`
	mayFail   = `"Extracting a layer with hardlink references to files outside of the layer may fail."`
)

func oddLayers() []oddLayer {
	bad := []string{refused}
	return []oddLayer{
		{"a directory without an entry", []mk.Entry{mk.File("d/new", "n")}, lost, nil, "see lost"},
		{"a whiteout in a directory without an entry", []mk.Entry{mk.File("d/.wh.f", "")}, lost, nil, "see lost"},
		{"an opaque directory without an entry", []mk.Entry{mk.File("d/.wh..wh..opq", "")}, lost, nil, "see lost"},
		{
			"a whiteout, and the directory again", []mk.Entry{mk.File(".wh.d", ""), mk.Dir("d"), mk.File("d/new", "n")},
			[]string{`"/d/e": only in the second tree (dir)`, `"/d/e/x": only in the second tree (file)`, `"/d/f": only in the second tree (file)`}, nil,
			"overlay storage forgets the whiteout, and shows what is to be hidden",
		},
		{"a whiteout, and files in the directory", []mk.Entry{mk.File(".wh.d", ""), mk.File("d/new", "n")}, bad, nil, "the whiteout is not a directory there"},
		{"a whiteout behind the directory", []mk.Entry{mk.Dir("d"), mk.File("d/new", "n"), mk.File(".wh.d", "")}, bad, bad, lowerOnly},
		{"a whiteout behind the file", []mk.Entry{mk.File("g", "n"), mk.File(".wh.g", "")}, bad, []string{`"/g": only in the first tree (file)`}, lowerOnly},
		{"a whiteout in a directory that has one behind it", []mk.Entry{mk.File("d/.wh.f", ""), mk.File(".wh.d", "")}, bad, nil, lowerOnly},
		{
			"whiteouts of a directory and of what was in it", []mk.Entry{mk.File(".wh.d", ""), mk.File("d/.wh.f", "")},
			nil, []string{`"/d": only in the second tree (dir)`}, `"Once a whiteout is applied, the whiteout itself MUST also be hidden"`,
		},
		{
			"an opaque root", []mk.Entry{mk.File(".wh..wh..opq", ""), mk.File("n", "n")},
			[]string{
				`"/d": only in the second tree (dir)`, `"/d/e": only in the second tree (dir)`, `"/d/e/x": only in the second tree (file)`,
				`"/d/f": only in the second tree (file)`, `"/g": only in the second tree (file)`, `"/lib": only in the second tree (symlink)`,
				`"/usr": only in the second tree (dir)`, `"/usr/lib": only in the second tree (dir)`, `"/usr/lib/old": only in the second tree (file)`,
			}, nil, `"indicating that all siblings are hidden in the lower layer"; the root of an overlay cannot be opaque`,
		},
		{"a hard link into a lower layer", []mk.Entry{mk.Link("h", "d/f")}, bad, nil, mayFail},
		{"a hard link to what the layer deletes", []mk.Entry{mk.Link("h", "g"), mk.File(".wh.g", "")}, bad, nil, mayFail},
		{
			"a directory's xattrs", []mk.Entry{mk.Dir("d").But(oddMeta).Xattr("user.y", "2")},
			nil, []string{`"/d": xattr user.x: none and "1"`}, `"the existing path's attributes MUST be replaced by those of the entry"`,
		},
		{
			"metadata of hard links", []mk.Entry{
				mk.File("a", "a").Xattr("user.a", "1"), mk.Link("b", "a").But(oddMeta).Xattr("user.b", "2"), mk.Symlink("s", "x"), mk.Link("t", "s").But(oddMeta),
			}, nil, nil, "the last entry counts",
		},
		{"a symlink of the same layer", []mk.Entry{mk.Dir("usr"), mk.Dir("usr/lib"), mk.Symlink("lib", "usr/lib"), mk.File("lib/x", "x")}, nil, nil, "all follow it"},
		{"a symlink of the same layer to a lower directory", []mk.Entry{mk.Symlink("lib", "usr/lib"), mk.File("lib/x", "x")}, bad, nil, "those who can, follow it"},
		{
			"a symlink of a lower layer", []mk.Entry{mk.File("lib/x", "x")},
			nil, []string{`"/lib": type: dir and symlink`, `"/lib/x": only in the first tree (file)`, `"/usr/lib/x": only in the second tree (file)`},
			"drivers do not agree: we are with overlay, which is the usual one, and give a note",
		},
		{"a file of a lower layer as a parent", []mk.Entry{mk.File("g/x", "x")}, nil, bad, "the entry has to replace what is there"},
		{"parents that nobody has", []mk.Entry{mk.File("p/q/r", "r")}, nil, nil, ""},
		{"an opaque directory that nobody has", []mk.Entry{mk.File("q/.wh..wh..opq", "")}, nil, nil, ""},
		{"a file in a file", []mk.Entry{mk.File("a", "a"), mk.File("a/b", "b")}, bad, bad, "we refuse it too"},
		{"a hard link to nothing", []mk.Entry{mk.Link("a", "none")}, bad, bad, "we refuse it too"},
		{"a hard link to itself", []mk.Entry{mk.Link("g", "g")}, bad, bad, "we refuse it too"},
	}
}

// Every difference from podman follows the image specification.
func TestSourceWhereRuntimesDiffer(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman")
	for _, test := range oddLayers() {
		img := imageOf(t, [][]mk.Entry{oddBase(), test.entries})
		archive := img.Archive(t)
		tree := ""
		if test.why != "we refuse it too" {
			tree = unpack(t, flatten(t, "oci-archive:"+archive))
		} else if err := flattenError(t, "oci-archive:"+archive); err == nil || !strings.Contains(err.Error(), "layer 1 (sha256:") {
			t.Errorf("%s: the error is %v", test.name, err)
		}
		for driver, want := range map[string][]string{"overlay": test.overlay, "vfs": test.vfs} {
			t.Run(test.name+"/"+driver, func(t *testing.T) {
				e := clients.NewEngineOn(t, driver)
				if slices.Equal(want, []string{refused}) {
					if out, err := e.TryLoad(archive); err == nil {
						t.Errorf("podman takes it: %s", out)
					}
					return
				}
				diffs, err := treediff.Compare(tree, e.Mount(e.Load(archive)), treediff.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if got := withoutRoot(diffs); !slices.Equal(got, want) {
					t.Errorf("the differences are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			})
		}
	}
}
