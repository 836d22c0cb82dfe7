package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// documented returns the root of docs/components.md, with a different dpkg package than in parcels.
func documented() string {
	return strings.Replace(parcels, `text="Package: tool\n`, `text="Package: bash\nStatus: install ok installed\nVersion: 5\n\nPackage: tool\n`, 1) + apps
}

const apps = `
file /var/lib/dpkg/info/bash.list text="/usr\n/usr/bin\n/usr/bin/bash\n"
file /usr/bin/bash size=1200000
file /etc/app.conf text="answer=6"
file /srv/app/main.py text="print(1)"
file /srv/app/models/large.bin size=3000000
file /srv/app/static/logo.png size=5000
file /opt/tools/readme.txt text="read me"
file /opt/venv/lib/python3.13/site-packages/idna/core.py size=13000
file /opt/venv/lib/python3.13/site-packages/idna-3.10.dist-info/RECORD text="idna/core.py,,\nidna-3.10.dist-info/RECORD,,\n"
file /srv/web/node_modules/express/package.json text="{\"name\": \"express\"}"
file /srv/web/node_modules/express/index.js size=200000
`

// componentsPage prepares the root of docs/components.md.
func componentsPage(p *document) {
	clients.Need(p.t, "jq", "python3")
	if err := mkroot.Write(filepath.Join(p.dir, "root"), documented()); err != nil {
		p.t.Fatal(err)
	}
	p.path("scripts")
}

// messagesPage prepares a root of three files, and an app that has changed since its previous
// image.
func messagesPage(p *document) {
	clients.Need(p.t, "jq")
	if err := mkroot.Write(filepath.Join(p.dir, "app"), documented()); err != nil {
		p.t.Fatal(err)
	}
	p.run(block{kind: "sh", text: `
		chunkah build -q --rootfs app --arch amd64 --config-str '{}' --max 8 --compress gzip -o oci:images:1
		echo 'print(2)' >app/srv/app/main.py
		touch -d @1700000000 app/srv/app/main.py`})
	if err := mkroot.Write(filepath.Join(p.dir, "root"), "file /etc/a text=a\nfile /opt/a/b text=b\nfile /opt/c/d text=d\n"); err != nil {
		p.t.Fatal(err)
	}
}

// referencePage prepares pages with single commands. It provides a root, an image of that root for
// each transport, and the results of the last build.
func referencePage(p *document) { references(p) }

// references does the same as referencePage, and returns the page's engine.
func references(p *document) *clients.Engine {
	root := p.smallRoot()
	archive := appImage(p.t, root)
	e := p.engine()
	e.Podman("tag", e.Load(archive), "localhost/app:latest")
	p.setenv("DOCKER_HOST", clients.NewDocker(p.t).Host())
	p.local()
	p.pushApp(root, "app:build")
	p.run(block{kind: "sh", text: `
		chunkah build --rootfs root -o oci-archive:app.oci --plan last.plan
		cp app.oci last.oci
		cp app.oci app.ociarchive
		chunkah build --rootfs root -o oci:app:1
		skopeo copy --quiet --dest-tls-verify=false oci:app:1 docker://registry.example/app:2
		skopeo copy --quiet --dest-tls-verify=false oci:app:1 docker://registry.example/app:latest
		chunkah-scan root | chunkah-assign > in`})
	return e
}

// readmePage prepares a checkout, and two versions of an app's image.
func readmePage(p *document) {
	clients.Need(p.t, "make")
	sources(p.t, p.dir)
	root := p.smallRoot()
	e := p.engine()
	e.Podman("tag", e.Load(appImage(p.t, root)), "localhost/app:1")
	p.local()
	p.pushApp(root, "app:build")
	p.run(block{kind: "sh", text: "echo 'print(2)' >root/srv/app/main.py"})
	e.Podman("tag", e.Load(appImage(p.t, root)), "localhost/app:2")
}

// optionsPage prepares a root, and roots of two architectures.
func optionsPage(p *document) {
	p.smallRoot()
	p.run(block{kind: "sh", text: "cp -a root amd64-root; cp -a root arm64-root"})
}

// inspectPage prepares the root of componentsPage, and images of this root for each transport.
func inspectPage(p *document) {
	clients.Need(p.t, "root", "skopeo")
	componentsPage(p)
	p.local()
	p.run(block{kind: "sh", text: `
		chunkah build -q --rootfs root --max 1 -o app.oci
		for tag in 1 2 3; do chunkah build -q --rootfs root --max $tag -o oci:app:$tag; done
		for tag in 1 2; do skopeo copy --quiet --dest-tls-verify=false oci:app:$tag docker://registry.example/app:$tag; done`})
}

// tutorialPage prepares two versions of an app's image.
func tutorialPage(p *document) {
	p.t.Helper()
	root := filepath.Join(p.dir, "root")
	if err := mkroot.Write(root, documented()); err != nil {
		p.t.Fatal(err)
	}
	p.local()
	p.run(block{kind: "sh", text: `
		chunkah build --rootfs root --max 1 --label io.buildah.version=1.28.2 -o app.ociarchive
		echo 'print(2)' > root/srv/app/main.py
		touch -d @1710000000 root/srv/app/main.py
		chunkah build --rootfs root --max 1 --label io.buildah.version=1.28.2 -o app2.ociarchive`})
}

// troublePage prepares the problems that the page describes.
func troublePage(p *document) {
	p.smallRoot()
	spec := "fifo /run/app.fifo\nfile /etc/app.conf text=x\n"
	if err := mkroot.Write(filepath.Join(p.dir, "special"), spec); err != nil {
		p.t.Fatal(err)
	}
	p.run(block{kind: "sh", text: "chunkah-scan root > app.scan"})
}

var ownImage struct {
	once sync.Once
	err  error
	said []byte
}

// chunkahImage returns chunkah's own image as an OCI archive.
func chunkahImage(t *testing.T) string {
	t.Helper()
	clients.Need(t, "root", "buildah", "go")
	archive := filepath.Join(scratch, "chunkah.ociarchive")
	ownImage.once.Do(func() {
		cmd := exec.Command("scripts/image", archive)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "CHUNKAH="+filepath.Join(scratch, "bin/chunkah"))
		cmd.Env = append(cmd.Env, clients.NewEngine(t).Env()...)
		ownImage.said, ownImage.err = cmd.CombinedOutput()
	})
	if ownImage.err != nil {
		t.Fatalf("scripts/image: %v\n%s", ownImage.err, ownImage.said)
	}
	return archive
}

// migrationPage does the same as referencePage, and adds chunkah's own image, also under the name
// of the Rust chunkah.
func migrationPage(p *document) {
	e := references(p)
	e.Podman("tag", e.Load(chunkahImage(p.t)), "localhost/coreos/chunkah:latest")
	p.after = func(b block) {
		if !strings.Contains(b.text, "localhost/app:greets") {
			return
		}
		if got, want := e.Run("localhost/app:greets", "cat", "/etc/greeting"), greetingOf(p.t, p.dir); got != want {
			p.t.Errorf("%s:%d: the image says %q, want %q", p.name, b.line, got, want)
		}
	}
}

// smallRoot makes the root of docs/components.md with a shell.
func (p *document) smallRoot() string {
	p.t.Helper()
	clients.Need(p.t, "root", "busybox")
	root := filepath.Join(p.dir, "root")
	if err := mkroot.Write(root, documented()); err != nil {
		p.t.Fatal(err)
	}
	script := `cp "$(command -v busybox)" usr/bin/busybox; for name in sh cat true; do ln -s busybox usr/bin/$name; done; ln -s usr/bin bin`
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = root
	clients.Run(p.t, cmd)
	return root
}

// appImage returns an OCI archive with this root in one layer, and with a config.
func appImage(t *testing.T, root string) string {
	t.Helper()
	return build(t, root, "--max", "1", "--config-str", appConfig)
}

const appConfig = `{"Cmd": ["true"], "Env": ["APP=1"], "Labels": {"org.example.app": "yes"}}`

// enginePage prepares podman or buildah with the images of an app and of chunkah.
func enginePage(p *document) {
	root := p.smallRoot()
	e := p.engine()
	p.local()
	archive := appImage(p.t, root)
	e.Podman("tag", e.Load(archive), "localhost/app:1")
	e.Load(chunkahImage(p.t))
	p.copyFile("../Containerfile.splitter")
	p.after = func(b block) {
		var names []string
		for _, m := range regexp.MustCompile(`(?:-t |-o containers-storage:)(\S+)`).FindAllStringSubmatch(b.text, -1) {
			names = append(names, m[1])
		}
		for _, name := range slices.Compact(names) {
			p.sameTree(e, root, name, b)
		}
	}
}

// sameTree checks that the image equals the root, except for the page's own changes. It also checks
// that the image has several layers and the app's config.
func (p *document) sameTree(e *clients.Engine, root, image string, b block) {
	p.t.Helper()
	archive := filepath.Join(p.t.TempDir(), "saved.ociarchive")
	e.Podman("save", "--quiet", "--format", "oci-archive", "--output", archive, image)
	out, err := exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+archive).Output()
	for line := range strings.Lines(string(out)) {
		if !regexp.MustCompile(`^(config |annotation |"/etc/greeting"|"/etc/touched"|"/": mode)`).MatchString(line) {
			p.t.Errorf("%s:%d: %s: %s", p.name, b.line, image, line)
		}
	}
	if err != nil && len(out) == 0 {
		p.t.Errorf("%s:%d: chunkah diff: %v", p.name, b.line, err)
	}
	if n := len(clients.ReadImage(p.t, archive).Layers()); n < 5 {
		p.t.Errorf("%s:%d: %s has %d layers", p.name, b.line, image, n)
	}
	config := e.Podman("inspect", "--format", "{{json .Config}}", image)
	if image != "localhost/root:1" && !strings.Contains(config, "APP=1") {
		p.t.Errorf("%s:%d: %s: the config is %s", p.name, b.line, image, config)
	}
	if strings.Contains(b.text, "CHUNKAH_ARGS") && !strings.Contains(config, `"org.example.by":"split image"`) {
		p.t.Errorf("%s:%d: %s: CHUNKAH_ARGS are not in the config: %s", p.name, b.line, image, config)
	}
	if image == "localhost/app:greets" {
		if got, want := e.Run(image), greetingOf(p.t, p.dir); got != want {
			p.t.Errorf("%s:%d: the image says %q, want %q", p.name, b.line, got, want)
		}
	}
	e.Podman("rmi", "--force", image)
}

func greetingOf(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "greeting"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dockerPage prepares a Docker daemon with an app's image.
func dockerPage(p *document) {
	root := p.smallRoot()
	d := clients.NewDocker(p.t)
	p.setenv("DOCKER_HOST", d.Host())
	d.Load(appImage(p.t, root), "app:1")
	p.copyFile(chunkahImage(p.t))
	p.after = func(b block) {
		for _, name := range []string{"app:split", "root:1"} {
			if !strings.Contains(b.text, "-t "+name) && !strings.Contains(b.text, "-o docker-daemon:"+name) {
				continue
			}
			archive := filepath.Join(p.t.TempDir(), "saved.tar")
			d.Docker("save", "--output", archive, name)
			out, _ := exec.Command("chunkah", "diff", "--ignore-mtime", root, "docker-archive:"+archive).Output()
			for line := range strings.Lines(string(out)) {
				if !strings.HasPrefix(line, "config ") {
					p.t.Errorf("%s:%d: %s: %s", p.name, b.line, name, line)
				}
			}
			if config := d.Docker("inspect", name); name == "app:split" && !strings.Contains(config, "APP=1") {
				p.t.Errorf("%s:%d: %s: the config is %s", p.name, b.line, name, config)
			}
			d.Docker("rmi", name)
		}
	}
}

// pushApp pushes an app's image to the registry.
func (p *document) pushApp(root, name string) {
	p.t.Helper()
	if out, err := p.shell("skopeo copy --dest-creds " + clients.RegistryUser + ":" + clients.RegistryPassword + " --dest-tls-verify=false oci-archive:" + appImage(p.t, root) + " docker://registry.example/" + name); err != nil {
		p.t.Fatalf("skopeo: %v\n%s", err, out)
	}
}

// workflowPage runs each workflow twice, as after two pushes.
func workflowPage(p *document) {
	root := p.smallRoot()
	p.engine()
	p.secured()
	r := newRunner(p, root)
	clients.Run(p.t, exec.Command("cp", "--archive", root, filepath.Join(r.workspace, "root")))
	r.write(filepath.Join(r.workspace, "Containerfile"), "FROM scratch\nCOPY root/ /\n")
	for _, b := range blocksOf(p.t, p.name) {
		if b.file == "" { // part of a workflow
			continue
		}
		for range 2 {
			r.run(b.text)
		}
		switch b.file {
		case "workflow.yaml", "buildah.yaml":
			p.sameAsPushed(root, "app:latest")
		case "platforms.yaml":
			index, err := p.shell("skopeo inspect --raw --creds " + clients.RegistryUser + ":" + clients.RegistryPassword + " docker://registry.example/app:latest | jq -r '.manifests[].platform.architecture'")
			if err != nil || index != "amd64\narm64\n" {
				p.t.Errorf("%s: the index has %q: %v", p.name, index, err)
			}
		}
	}
	for _, want := range []string{"downloads", "0 bytes of"} {
		if !strings.Contains(r.summary, want) {
			p.t.Errorf("%s: there is no %q in the summary:\n%s", p.name, want, r.summary)
		}
	}
}

// sameAsPushed checks that the image in the registry equals the root and has several layers.
func (p *document) sameAsPushed(root, name string) {
	p.t.Helper()
	archive := filepath.Join(p.t.TempDir(), "pulled.ociarchive")
	if out, err := p.shell("skopeo copy --src-creds " + clients.RegistryUser + ":" + clients.RegistryPassword + " --src-tls-verify=" + strconv.FormatBool(p.tls) + " docker://registry.example/" + name + " oci-archive:" + archive); err != nil {
		p.t.Fatalf("skopeo: %v\n%s", err, out)
	}
	out, _ := exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+archive).Output()
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "config ") {
			p.t.Errorf("%s: %s: %s", p.name, name, line)
		}
	}
	if n := len(clients.ReadImage(p.t, archive).Layers()); n < 5 {
		p.t.Errorf("%s: %s has %d layers", p.name, name, n)
	}
}

// chunkah's own image is small, contains the five commands and a shell, and is split into layers by
// chunkah itself.
func TestChunkahImage(t *testing.T) {
	archive := chunkahImage(t)
	info, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	// The size of the image is about a third of this limit.
	if limit := int64(25 << 20); info.Size() > limit {
		t.Errorf("the image has %d bytes, more than %d", info.Size(), limit)
	}
	if n := len(clients.ReadImage(t, archive).Layers()); n < 2 {
		t.Errorf("the image has %d layers", n)
	}
	clients.Run(t, exec.Command("chunkah", "verify", "oci-archive:"+archive))
	e := clients.NewEngine(t)
	image := e.Load(archive)
	if image != "localhost/chunkah:latest" {
		t.Errorf("the image is %s", image)
	}
	for _, stage := range []string{"scan", "assign", "pack", "write"} {
		out := e.Podman("run", "--rm", "--entrypoint", "chunkah-"+stage, image, "--version")
		if !strings.HasPrefix(out, "chunkah-"+stage+" ") {
			t.Errorf("chunkah-%s --version: %q", stage, out)
		}
	}
	root := mkroot.Make(t, documented())
	work := t.TempDir()
	line := "chunkah-scan | chunkah-assign | chunkah-pack --max 9 | chunkah-write -t localhost/app:1 -o out.ociarchive"
	e.Podman("run", "--rm", "-v", root+":/chunkah:ro", "-v", work+":/srv", "--entrypoint", "sh", image, "-c", line)
	sameBytes(t, build(t, root, "--max", "9", "-t", "localhost/app:1"), filepath.Join(work, "out.ociarchive"))
}

// tarballPage prepares a Debian root.
func tarballPage(p *document) {
	clients.Need(p.t, "root", "mmdebstrap", "tar")
	p.smallRoot()
}
