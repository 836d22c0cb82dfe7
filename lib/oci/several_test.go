package oci

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outputsIn opens three outputs in a directory.
func outputsIn(t *testing.T, dir string) []Output {
	t.Helper()
	layout, err := OpenLayout(filepath.Join(dir, "layout"), "app:1", Options{Readable: true})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := CreateArchive(filepath.Join(dir, "archive"), Options{Readable: true})
	if err != nil {
		t.Fatal(err)
	}
	docker, err := CreateArchive(filepath.Join(dir, "docker"), Options{Readable: true})
	if err != nil {
		t.Fatal(err)
	}
	return []Output{
		{Destination: layout, Name: "oci:layout", Ref: "app:1", Also: []string{"app:2"}},
		{Destination: archive, Name: "archive"},
		{Destination: NewDockerArchive(docker), Name: "docker", Ref: "localhost/app:3"},
	}
}

// Each output is the same as if it were the only output.
func TestSeveral(t *testing.T) {
	several, single := t.TempDir(), t.TempDir()
	image := func(ref string, also ...string) *Image {
		img := testImage(t)
		img.Ref, img.Also = ref, also
		return img
	}
	s := NewSeveral(outputsIn(t, several))
	if s.Traits().Access != AppendOnly || len(s.Traits().Files) != 3 {
		t.Errorf("it has the traits %v", s.Traits())
	}
	if n := len(finishImage(t, s, image(""))); n != 3 {
		t.Errorf("there are %d locations", n)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, o := range outputsIn(t, single) {
		finishImage(t, o.Destination, image(o.Ref, o.Also...))
		if err := o.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"layout/index.json", "archive", "docker"} {
		want, err := os.ReadFile(filepath.Join(single, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(several, name))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s differs, %v", name, err)
		}
	}
}

// failing is a destination whose methods fail.
type failing struct {
	Destination
	finish, commit error
}

func (f failing) Finish(index []byte) ([]Finished, error) {
	if f.finish != nil {
		return nil, errors.Join(f.finish, f.Destination.Discard())
	}
	return f.Destination.Finish(index)
}

func (f failing) Commit() error {
	if f.commit != nil {
		return errors.Join(f.commit, f.Destination.Discard())
	}
	return f.Destination.Commit()
}

// After an error, the image is complete in the earlier outputs, which the error lists. The other
// outputs do not contain the image.
func TestSeveralFail(t *testing.T) {
	why := errors.New("broken")
	for name, test := range map[string]struct {
		broken failing
		left   []string
		said   string
	}{
		"finishing":  {failing{finish: why}, nil, "broken"},
		"committing": {failing{commit: why}, []string{"layout"}, `broken (the image is complete in "oci:layout")`},
	} {
		dir := t.TempDir()
		outputs := outputsIn(t, dir)
		test.broken.Destination = outputs[1].Destination
		outputs[1].Destination = test.broken
		s := NewSeveral(outputs)
		img := testImage(t)
		img.Ref = ""
		index, err := writeBlobs(t, s, img)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Finish(index)
		if err == nil {
			err = s.Commit()
		}
		if !errors.Is(err, why) || err.Error() != test.said {
			t.Errorf("%s: got %v", name, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, e := range entries {
			left = append(left, e.Name())
		}
		if strings.Join(left, " ") != strings.Join(test.left, " ") {
			t.Errorf("%s: there is %q, want %q", name, left, test.left)
		}
	}
}
