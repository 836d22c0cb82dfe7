//go:build linux && amd64

package tests

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"chunkah/lib/temp"
	"chunkah/tests/clients"
	"chunkah/tests/inject"
	"chunkah/tests/mkroot"
	"chunkah/tests/rpmroot"
)

// A faultJob is a command in which each call fails once. It reads $ROOT and $IN, and writes to out,
// tmp and cache in $DIR, and to standard output.
type faultJob struct {
	name   string
	args   string
	stdin  string // a file
	before string // shell commands that create the existing files
	// once is set if the job refuses to overwrite its own output when it runs again.
	once bool
}

// faultJobs returns jobs for all stages, all kinds of output, and all other commands.
func faultJobs() []faultJob {
	return []faultJob{
		{name: "scan", args: "chunkah-scan $ROOT"},
		{name: "assign", args: "chunkah-assign", stdin: "$IN/scan"},
		{name: "pack", args: "chunkah-pack --plan $DIR/out/plan", stdin: "$IN/assign", before: "echo old >$DIR/out/plan"},
		{name: "write", args: "chunkah-write -o $DIR/out/a --compress gzip", stdin: "$IN/pack"},
		{name: "to a file", args: "chunkah build --rootfs $ROOT -o $DIR/out/a --plan $DIR/out/plan --metrics $DIR/out/metrics --verify", before: "echo old >$DIR/out/a"},
		{name: "compressed", args: "chunkah build --rootfs $ROOT -o docker-archive:$DIR/out/a --compress gzip"},
		{name: "to standard output", args: "chunkah build --rootfs $ROOT"},
		{name: "to a new folder", args: "chunkah build --rootfs $ROOT -o oci:$DIR/out/a"},
		{name: "to a folder", args: "chunkah build --rootfs $ROOT -o oci:$DIR/out/a:new --compress gzip", before: "cp -r $IN/layout $DIR/out/a"},
		{name: "to a cache", args: "chunkah build --rootfs $ROOT -o $DIR/out/a --compress zstd --cache $DIR/cache"},
		{name: "from a cache", args: "chunkah build --rootfs $ROOT -o $DIR/out/a --compress zstd --cache $DIR/cache", before: "cp -r $IN/cache/. $DIR/cache"},
		{name: "from an image", args: "chunkah build --from oci-archive:$IN/gzip -o $DIR/out/a"},
		{name: "index", args: "chunkah index -o oci:$DIR/out/a oci-archive:$IN/gzip"},
		{name: "extract", args: "chunkah extract oci-archive:$IN/gzip $DIR/out/a", once: true},
		{name: "extract in place", args: "chunkah extract oci:$IN/layout $DIR/out/a", before: "mkdir $DIR/out/a", once: true},
		{name: "extract to a tar", args: "chunkah extract oci-archive:$IN/gzip --tar $DIR/out/a", before: "echo old >$DIR/out/a"},
		{name: "diff", args: "chunkah diff --ignore-mtime $ROOT oci-archive:$IN/gzip"},
		{name: "verify", args: "chunkah verify oci:$IN/layout"},
	}
}

// failure returns the job's exit status for a failure.
func (j faultJob) failure() int {
	if j.name == "diff" || j.name == "verify" {
		return 2
	}
	return 1
}

// A faultPlace contains the paths of jobs: their input, and the directory of one job.
type faultPlace struct{ root, in, dir string }

const faultRoot = `file /usr/bin/a size=9000 mode=0755 xattr:user.component=a
file /usr/lib/b size=300000
symlink /lib to=usr/lib
link /usr/c to=/usr/bin/a
file /etc/d text=d
`

func newFaultPlace(t *testing.T) faultPlace {
	t.Helper()
	p := faultPlace{root: mkroot.Make(t, faultRoot), in: t.TempDir(), dir: t.TempDir()}
	db := filepath.Join(p.root, rpmroot.DB)
	if err := os.MkdirAll(db, 0o755); err != nil {
		t.Fatal(err)
	}
	clients.Run(t, exec.Command("cp", filepath.Join(rpmRoot(t), rpmroot.DB, "rpmdb.sqlite"), db))
	p.shell(t, `cd $IN
		chunkah-scan $ROOT >scan; chunkah-assign <scan >assign; chunkah-pack <assign >pack
		chunkah build --rootfs $ROOT -o gzip --compress gzip
		chunkah build --rootfs $ROOT -o oci:layout
		chunkah build --rootfs $ROOT -o zstd --compress zstd --cache cache`)
	return p
}

func (p faultPlace) expand(s string) string {
	return strings.NewReplacer("$ROOT", p.root, "$IN", p.in, "$DIR", p.dir).Replace(s)
}

func (p faultPlace) shell(t *testing.T, script string) {
	t.Helper()
	clients.Run(t, exec.Command("sh", "-ec", p.expand(script)))
}

// eachFaultJob runs f for each job, in parallel on all cores, each in its own directory.
func eachFaultJob(t *testing.T, f func(t *testing.T, p faultPlace, j faultJob)) {
	clients.Need(t)
	place := newFaultPlace(t)
	jobs := make(chan faultJob)
	var workers sync.WaitGroup
	for i := range runtime.GOMAXPROCS(0) {
		p := place
		p.dir = filepath.Join(place.dir, fmt.Sprint(i))
		workers.Go(func() {
			for j := range jobs {
				t.Run(j.name, func(t *testing.T) { f(t, p, j) })
			}
		})
	}
	for _, j := range faultJobs() {
		jobs <- j
	}
	close(jobs)
	workers.Wait()
}

// fresh prepares the job's directory and returns its contents.
func (p faultPlace) fresh(t *testing.T, j faultJob) (before map[string]string) {
	t.Helper()
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	p.folders(t)
	if j.before != "" {
		p.shell(t, j.before)
	}
	before, _ = p.look(t)
	return before
}

func (p faultPlace) folders(t *testing.T) {
	t.Helper()
	for _, d := range []string{"out", "tmp", "cache"} {
		if err := os.MkdirAll(filepath.Join(p.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// faultResult is how a job ended.
type faultResult struct {
	inject.Outcome
	stderr string
	made   map[string]string // files in out, by name: the checksum of the contents
	stdout string            // checksum of the output
	temps  []string          // unfinished files
}

// run runs the job in its directory.
func (p faultPlace) run(t *testing.T, j faultJob, f inject.Fault) faultResult {
	t.Helper()
	args := strings.Fields(p.expand(j.args))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "TMPDIR="+p.dir+"/tmp")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := os.Create(p.dir + "/stdout")
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	cmd.Stdout = stdout
	if j.stdin != "" {
		in, err := os.Open(p.expand(j.stdin))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		cmd.Stdin = in
	}
	out, err := inject.Run(cmd, f)
	if err != nil {
		t.Fatal(err)
	}
	if out.Hung {
		t.Errorf("%s hangs after %s", j.args, out.Hit)
	}
	r := faultResult{Outcome: out, stderr: stderr.String(), stdout: sumOf(t, p.dir+"/stdout")}
	r.made, r.temps = p.look(t)
	return r
}

// look returns the contents of the job's directory. It treats files in TMPDIR as unfinished.
func (p faultPlace) look(t *testing.T) (made map[string]string, temps []string) {
	t.Helper()
	made = map[string]string{}
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, p.dir+"/")
		switch {
		case err != nil:
			return err
		case temp.Is(d.Name()), strings.HasPrefix(name, "tmp/"):
			temps = append(temps, path)
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular() && strings.HasPrefix(name, "out/") && name != "out/metrics":
			made[name] = sumOf(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return made, temps
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// about reports whether a call belongs to the job and not to the start of the process.
func (p faultPlace) about(c inject.Call) bool {
	for _, dir := range []string{p.root, p.in, p.dir} {
		if c.Path == dir || strings.HasPrefix(c.Path, dir+"/") {
			return true
		}
	}
	return false
}

// below reports whether a call's file is below a directory of the job.
func (p faultPlace) below(c inject.Call, dir string) bool {
	return strings.HasPrefix(c.Path, filepath.Join(p.dir, dir)+"/")
}

// unchanged reports whether all existing files are unchanged.
func (r faultResult) unchanged(before map[string]string) bool { return maps.Equal(r.made, before) }

// finished reports whether a job made the same files as another.
func (r faultResult) finished(as faultResult) bool {
	return r.Status == as.Status && r.stdout == as.stdout && maps.Equal(r.made, as.made)
}

// nothing is the checksum of empty data.
var nothing = fmt.Sprintf("%x", sha256.Sum256(nil))

// failed checks that the job failed as expected. It must exit with the given status and a message
// that contains one of the words. Existing files must be unchanged, and no unfinished files may
// remain.
func (p faultPlace) failed(t *testing.T, j faultJob, r, whole faultResult, before map[string]string, status int, words ...string) {
	t.Helper()
	if r.Status.Signaled() || r.Status.ExitStatus() != status {
		t.Errorf("%s: status %d, signal %v, want status %d: %s", r.Hit, r.Status.ExitStatus(), r.Status.Signal(), status, r.stderr)
	}
	if !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(r.stderr, word) }) {
		t.Errorf("%s: none of %q is in: %s", r.Hit, words, r.stderr)
	}
	if r.stdout == whole.stdout && whole.stdout != nothing {
		t.Errorf("%s: standard output is finished: %s", r.Hit, r.stderr)
	}
	if !r.unchanged(before) {
		t.Errorf("%s: there is %v, was %v: %s", r.Hit, r.made, before, r.stderr)
	}
	p.tidy(t, r)
}

func (p faultPlace) tidy(t *testing.T, r faultResult) {
	t.Helper()
	for _, path := range r.temps {
		t.Errorf("%s: %s was left behind", r.Hit, path)
	}
}
