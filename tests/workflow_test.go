package tests

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.yaml.in/yaml/v3"

	"chunkah/tests/clients"
	"chunkah/tests/mkimage"
)

// workflow is the subset of a GitHub Actions workflow that the recipes use.
type workflow struct {
	Jobs map[string]struct {
		Needs    string
		Env      map[string]string
		Strategy struct{ Matrix map[string][]string }
		Steps    []workflowStep
	}
}

type workflowStep struct {
	Name, ID, Uses, If, Run, Shell string
	With, Env                      map[string]string
}

// compositeAction is the content of an action.yml.
type compositeAction struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct{ Steps []workflowStep }
}

// actionDir contains chunkah's action.
const actionDir = "../scripts/action"

// runnerUser is the UID that GitHub's runners use.
const runnerUser = 1001

// A runner runs workflows like a GitHub-hosted runner: each step in its own shell, as a different
// user, with the files and variables that actions expect. The runner provides curl, jq, skopeo and
// buildah, but not chunkah.
type runner struct {
	p         *document
	root      string // root directory of the image that BuildKit builds
	temp      string
	workspace string
	home      string
	values    map[string]string // values of expressions
	env       map[string]string // environment of the job
	paths     []string          // prepended to PATH
	summary   string            // the summaries that the steps of all jobs wrote
}

// newRunner starts a runner with an empty workspace.
func newRunner(p *document, root string) *runner {
	p.t.Helper()
	clients.Need(p.t, "root", "bash", "curl", "jq", "skopeo", "buildah")
	top := p.t.TempDir()
	if err := os.Chmod(filepath.Dir(top), 0o755); err != nil { // only the owner can enter this directory
		p.t.Fatal(err)
	}
	r := &runner{
		p: p, root: root, workspace: filepath.Join(top, "work"), temp: filepath.Join(top, "temp"), home: filepath.Join(top, "home"),
		values: map[string]string{
			"github.actor": clients.RegistryUser, "secrets.GITHUB_TOKEN": clients.RegistryPassword,
			"github.run_id": "17", "github.sha": "0123abcd", "github.action_ref": "v0.1.0", "github.action_repository": "OWNER/chunkah",
		},
	}
	r.values["runner.temp"], r.values["github.workspace"] = r.temp, r.workspace
	for _, dir := range []string{r.workspace, r.temp, r.home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			p.t.Fatal(err)
		}
		r.own(dir)
	}
	abs, err := filepath.Abs(actionDir)
	if err != nil {
		p.t.Fatal(err)
	}
	r.values["github.action_path"] = abs
	r.values["github.server_url"] = releaseServer(p.t, "v0.1.0")
	return r
}

func (r *runner) own(path string) {
	if err := os.Chown(path, runnerUser, runnerUser); err != nil {
		r.p.t.Fatal(err)
	}
}

// releaseServer serves a release of chunkah with the files that make dist produces, and returns the
// address to use instead of https://github.com.
func releaseServer(t *testing.T, version string) string {
	t.Helper()
	bin, err := exec.LookPath("chunkah")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	w := tar.NewWriter(zip)
	name := "chunkah-" + version + "-linux-" + runtime.GOARCH
	for _, h := range []*tar.Header{
		{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: name + "/bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: name + "/bin/chunkah", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	sums := fmt.Sprintf("%x  %s.tar.gz\n%x  another.deb\n", sha256.Sum256(packed.Bytes()), name, sha256.Sum256(nil))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch file, _ := strings.CutPrefix(req.URL.Path, "/OWNER/chunkah/releases/download/"+version+"/"); file {
		case name + ".tar.gz":
			_, _ = w.Write(packed.Bytes())
		case "SHA256SUMS":
			_, _ = w.Write([]byte(sums))
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// run runs the jobs of a workflow. Jobs run after the jobs that they need.
func (r *runner) run(text string) {
	r.p.t.Helper()
	var w workflow
	if err := yaml.Unmarshal([]byte(r.p.hosts(text)), &w); err != nil {
		r.p.t.Fatal(err)
	}
	names := slices.SortedFunc(maps.Keys(w.Jobs), func(a, b string) int { return strings.Compare(w.Jobs[a].Needs+a, w.Jobs[b].Needs+b) })
	for _, name := range names {
		job := w.Jobs[name]
		for _, values := range combinations(job.Strategy.Matrix) {
			before := r.values
			r.values = maps.Clone(r.values)
			maps.Copy(r.values, values)
			r.env, r.paths = map[string]string{}, nil
			for key, value := range job.Env {
				r.env[key] = r.expand(value)
			}
			r.steps(job.Steps, nil)
			r.values = before
		}
	}
}

func (r *runner) steps(steps []workflowStep, inputs map[string]string) {
	r.p.t.Helper()
	for key, value := range inputs {
		r.values["inputs."+key] = value
	}
	for _, s := range steps {
		if !r.holds(s.If) {
			continue
		}
		with := map[string]string{}
		for key, value := range s.With {
			with[key] = r.expand(value)
		}
		name, _, _ := strings.Cut(s.Uses, "@")
		switch name {
		case "":
			r.shell(s)
		case "actions/checkout", "actions/cache", "docker/setup-buildx-action", "docker/setup-qemu-action": // nothing is needed here
		case "docker/login-action":
			r.login(with)
		case "docker/build-push-action":
			r.buildKit(with)
		case "sigstore/cosign-installer":
			r.cosign()
		case "OWNER/chunkah/scripts/action":
			r.action(s.ID, with)
		default:
			r.p.t.Errorf("%s: unknown action %s", r.p.name, s.Uses)
		}
	}
}

// action runs chunkah's action.
func (r *runner) action(id string, with map[string]string) {
	r.p.t.Helper()
	var a compositeAction
	text, err := os.ReadFile(filepath.Join(actionDir, "action.yml"))
	if err != nil {
		r.p.t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &a); err != nil {
		r.p.t.Fatal(err)
	}
	inputs := map[string]string{}
	for name, input := range a.Inputs {
		inputs[name] = input.Default
	}
	for name, value := range with {
		if _, known := inputs[name]; !known {
			r.p.t.Errorf("%s: the action has no input %q", r.p.name, name)
		}
		inputs[name] = value
	}
	r.steps(a.Runs.Steps, inputs)
	if inputs["from"] == "" {
		return // the action has no outputs
	}
	for name, output := range a.Outputs {
		r.values["steps."+id+".outputs."+name] = r.expand(output.Value)
	}
}

// login writes the file that docker/login-action writes.
func (r *runner) login(with map[string]string) {
	auth := base64.StdEncoding.EncodeToString([]byte(with["username"] + ":" + with["password"]))
	r.write(filepath.Join(r.home, ".docker/config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, with["registry"], auth))
}

func (r *runner) write(path, text string) {
	r.p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		r.p.t.Fatal(err)
	}
	r.own(path)
}

// buildKit writes an archive as BuildKit does by default: its top-level index lists a nested index
// that contains the image and an attestation manifest with the platform unknown/unknown.
func (r *runner) buildKit(with map[string]string) {
	r.p.t.Helper()
	dest, ok := strings.CutPrefix(with["outputs"], "type=oci,dest=")
	if !ok {
		r.p.t.Fatalf("%s: outputs: %s", r.p.name, with["outputs"])
	}
	layer := clients.Run(r.p.t, exec.Command("tar", "--sort=name", "--format=pax", "--numeric-owner", "-C", r.root, "-cf", "-", "."))
	img := &mkimage.Image{Arch: strings.TrimPrefix(with["platforms"], "linux/"), Layers: []mkimage.Layer{{Tar: []byte(layer), Packing: mkimage.Gzip}}}
	blobs := mkimage.Blobs{}
	manifest := img.Manifest(r.p.t, blobs)
	statement := blobs.Add("application/vnd.in-toto+json", []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`))
	config := blobs.Add(v1.MediaTypeImageConfig, []byte(`{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":["`+statement.Digest.String()+`"]}}`))
	attestation := blobs.Add(v1.MediaTypeImageManifest, fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		v1.MediaTypeImageManifest, config.MediaType, config.Digest, config.Size, statement.MediaType, statement.Digest, statement.Size))
	attestation.Platform = &v1.Platform{Architecture: "unknown", OS: "unknown"}
	attestation.Annotations = map[string]string{"vnd.docker.reference.digest": manifest.Digest.String(), "vnd.docker.reference.type": "attestation-manifest"}
	index := blobs.Add(v1.MediaTypeImageIndex, mkimage.Index(manifest, attestation))
	archive := mkimage.LayoutFiles(blobs, index).WriteArchive(r.p.t)
	clients.Run(r.p.t, exec.Command("cp", archive, dest))
	r.own(dest)
}

// cosign installs a program that only checks that the image exists.
func (r *runner) cosign() {
	dir := filepath.Join(r.temp, "cosign")
	r.write(filepath.Join(dir, "cosign"), "#!/bin/sh\ntest \"$1 $2\" = \"sign --yes\" && exec skopeo inspect \"docker://$3\"\n")
	r.paths = append(r.paths, dir)
}

// shell runs the commands of a step. Rootless buildah needs more than a user account (for example,
// subordinate IDs), so steps that run buildah run as root.
func (r *runner) shell(s workflowStep) {
	r.p.t.Helper()
	if s.Shell != "" && s.Shell != "bash" {
		r.p.t.Fatalf("%s: unknown shell %s", r.p.name, s.Shell)
	}
	step := r.p.t.TempDir()
	if err := os.Chmod(filepath.Dir(step), 0o755); err != nil {
		r.p.t.Fatal(err)
	}
	script := filepath.Join(step, "script")
	r.write(script, r.expand(s.Run))
	files := map[string]string{}
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_ENV"} {
		files[name] = filepath.Join(step, name)
		r.write(files[name], "")
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", script)
	cmd.Dir = r.workspace
	cmd.Env = []string{
		"CI=true", "HOME=" + r.home, "USER=runner", "XDG_RUNTIME_DIR=" + r.temp, "RUNNER_TEMP=" + r.temp, "RUNNER_OS=Linux",
		"GITHUB_ACTIONS=true", "GITHUB_WORKSPACE=" + r.workspace, "GITHUB_SERVER_URL=" + r.values["github.server_url"], "GITHUB_ACTION_PATH=" + r.values["github.action_path"],
		"PATH=" + strings.Join(append(slices.Clone(r.paths), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ":"),
	}
	for _, pair := range r.p.env {
		if strings.HasPrefix(pair, "SSL_CERT_FILE=") { // the registry's certificate
			cmd.Env = append(cmd.Env, pair)
		}
	}
	for _, vars := range []map[string]string{files, r.env, s.Env} {
		for key, value := range vars {
			cmd.Env = append(cmd.Env, key+"="+r.expand(value))
		}
	}
	if strings.HasPrefix(s.Run, "buildah ") {
		cmd.Env = append(cmd.Env, r.p.env[len(os.Environ()):]...)
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: runnerUser, Gid: runnerUser}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.p.t.Fatalf("%s: %v\n%s\n%s", r.p.name, err, s.Run, out)
	}
	r.read(files, s.ID)
}

// read applies what a step has written to the GITHUB_* files.
func (r *runner) read(files map[string]string, id string) {
	text := func(name string) string {
		b, err := os.ReadFile(files[name])
		if err != nil {
			r.p.t.Fatal(err)
		}
		return string(b)
	}
	for line := range strings.Lines(text("GITHUB_PATH")) {
		r.paths = append([]string{strings.TrimSpace(line)}, r.paths...)
	}
	for line := range strings.Lines(text("GITHUB_OUTPUT")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		r.values["steps."+id+".outputs."+key] = value
	}
	r.summary += text("GITHUB_STEP_SUMMARY")
}
