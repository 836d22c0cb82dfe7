package assign_test

import (
	"fmt"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
)

func TestUnclaimedTrees(t *testing.T) {
	var files []*format.File
	for _, path := range []string{
		"/etc/alpine-release", "/opt/conda/condabin/conda", "/opt/conda/etc/profile.d/conda.sh", "/opt/conda/lib/libssl.so",
		"/opt/owned/condabin/conda", "/srv/.git/HEAD", "/srv/.git/objects/x", "/srv/app/vendor/autoload.php", "/usr/lib/modules/6.1/modules.dep", "/x/site-packages/a/__init__.py",
	} {
		files = append(files, &format.File{Path: path, Type: format.TypeFile, Size: 1000})
	}
	files[3].Size = 5_000_000
	files[4].Components = []string{"conda/conda"}
	out, err := assign.Assign(t.Context(), assign.NewTree(nil, files), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, l := range out.UnclaimedTrees {
		got += fmt.Sprintf("%s is %s: %d\n", l.Dir, l.Kind, l.Bytes)
	}
	want := `/ is an Alpine system without lib/apk/db: 5008000
/opt/conda is a conda environment without conda-meta: 5002000
/srv/.git is a git repository: 2000
/srv/app/vendor is PHP packages without composer/installed.json: 1000
/usr/lib/modules/6.1 is kernel modules without a kernel package: 1000
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
