package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"chunkah/tests/clients"
)

// A podContainer is a container of a pod or a step of a task.
type podContainer struct {
	Image string
	Args  []string
	Env   []struct{ Name, Value string }

	SecurityContext struct {
		RunAsUser                int  `yaml:"runAsUser"`
		AllowPrivilegeEscalation bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type podVolume struct {
	Name     string
	EmptyDir *struct{} `yaml:"emptyDir"`
	Secret   *struct {
		Items []struct{ Key, Path string }
	}
}

// A podManifest is a Job of Kubernetes or a Task of Tekton.
type podManifest struct {
	Kind string
	Spec struct {
		Template struct {
			Spec struct {
				SecurityContext struct {
					RunAsUser int `yaml:"runAsUser"`
				} `yaml:"securityContext"`
				Containers []podContainer
				Volumes    []podVolume
			}
		}
		Steps      []podContainer
		Volumes    []podVolume
		Workspaces []struct{ Name string }
		Results    []struct{ Name string }
	}
}

// loginFile returns a config.json for the test's registry.
func loginFile(host string) string {
	return fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, clients.RegistryUser, clients.RegistryPassword)
}

// podPage runs the containers of a job and a task with podman, as a pod would run them: with their
// user, variables, volumes and secrets, without capabilities, and with a read-only root.
func podPage(p *document) {
	root := p.smallRoot()
	e := p.engine()
	p.registry = clients.NewRegistry(p.t, clients.RegistryOptions{Password: true})
	own := e.Load(chunkahImage(p.t))
	p.pushApp(root, "app:build")
	p.pushApp(root, "app:task")
	n := 0
	for _, b := range blocksOf(p.t, p.name) {
		var m podManifest
		text := strings.NewReplacer("$(params.from)", "registry.example/app:build", "$(params.to)", "registry.example/app:task",
			"$(workspaces.auth.path)", "/workspace/auth", "$(results.digest.path)", "/tekton/results/digest").Replace(b.text)
		if err := yaml.Unmarshal([]byte(p.hosts(text)), &m); err != nil {
			p.t.Fatalf("%s:%d: %v", p.name, b.line, err)
		}
		pod := m.Spec.Template.Spec
		for _, c := range append(slices.Clone(pod.Containers), m.Spec.Steps...) {
			args := podArgs(p, c, pod.SecurityContext.RunAsUser, slices.Concat(pod.Volumes, m.Spec.Volumes))
			for _, w := range m.Spec.Workspaces {
				args = append(args, "-v", loginDir(p, "config.json")+":/workspace/"+w.Name+":ro")
			}
			if len(m.Spec.Results) > 0 {
				args = append(args, "-v", emptyDir(p.t)+":/tekton/results")
			}
			e.Podman(append(append(args, own), c.Args...)...)
			n++
		}
	}
	if n != 2 {
		p.t.Errorf("%s: %d containers", p.name, n)
	}
	p.sameAsPushed(root, "app:latest")
	p.sameAsPushed(root, "app:task")
}

// podArgs returns the options of podman run for a container.
func podArgs(p *document, c podContainer, user int, volumes []podVolume) []string {
	p.t.Helper()
	security := c.SecurityContext
	if user += security.RunAsUser; user == 0 || security.AllowPrivilegeEscalation || !security.ReadOnlyRootFilesystem || !slices.Equal(security.Capabilities.Drop, []string{"ALL"}) {
		p.t.Errorf("%s: the container has more rights than the page says", p.name)
	}
	args := []string{"run", "--rm", "--network", "host", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all",
		"--user", fmt.Sprint(user), "--security-opt", "no-new-privileges"}
	for _, v := range c.Env {
		args = append(args, "--env", v.Name+"="+v.Value)
	}
	for _, mount := range c.VolumeMounts {
		at := slices.IndexFunc(volumes, func(v podVolume) bool { return v.Name == mount.Name })
		if at < 0 {
			p.t.Fatalf("%s: there is no volume %q", p.name, mount.Name)
		}
		var dir, mode string
		if secret := volumes[at].Secret; secret != nil {
			dir = loginDir(p, secret.Items[0].Path)
		} else {
			dir = emptyDir(p.t)
		}
		if mount.ReadOnly {
			mode = ":ro"
		}
		args = append(args, "-v", dir+":"+mount.MountPath+mode)
	}
	return args
}

// emptyDir makes a directory that everybody can write to, like a volume of this type.
func emptyDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// loginDir makes a directory with a credential file, like a secret volume.
func loginDir(p *document, name string) string {
	p.t.Helper()
	dir := p.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(loginFile(p.registry)), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return dir
}

// gitlabPage runs the script of a job as a runner's Docker executor does. The executor looks for a
// shell in the image, and sends the shell one script on standard input.
func gitlabPage(p *document) {
	root := p.smallRoot()
	e := p.engine()
	p.registry = clients.NewRegistry(p.t, clients.RegistryOptions{Password: true})
	e.Load(chunkahImage(p.t))
	e.Podman("tag", e.Load(build(p.t, debianRoot(p.t), "--max", "1", "--skip-special-files", "--config-str", "{}")), "localhost/debian:12")
	p.pushApp(root, "app:build")
	if out, err := p.shell("chunkah build -q --rootfs root --compress gzip -o oci:previous && skopeo copy --dest-tls-verify=false --dest-creds " +
		clients.RegistryUser + ":" + clients.RegistryPassword + " oci:previous docker://registry.example/app:previous"); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	builds := emptyDir(p.t)
	if err := os.MkdirAll(filepath.Join(builds, "group/app"), 0o755); err != nil { // the runner's checkout
		p.t.Fatal(err)
	}
	for _, b := range blocksOf(p.t, p.name) {
		if b.kind != "yaml" {
			p.run(b)
			continue
		}
		if b.file == "" { // part of a job
			continue
		}
		var jobs map[string]struct {
			Variables map[string]string
			Script    []string
		}
		if err := yaml.Unmarshal([]byte(p.hosts(b.text)), &jobs); err != nil {
			p.t.Fatal(err)
		}
		for name, job := range jobs {
			for range 2 {
				out := e.Script(gitlabScript(job.Variables, job.Script, loginFile(p.registry)), "run", "--rm", "-i", "--network", "host", "-v", builds+":/builds",
					"localhost/splitter:latest", "sh", "-c", gitlabShell)
				if strings.Count(out, "downloads 0 bytes of") < 1 {
					p.t.Errorf("%s: the job %s says\n%s", p.name, name, out)
				}
			}
		}
	}
	p.sameAsPushed(root, "app:latest")
}

// gitlabShell is the command with which the Docker executor starts a container. The command
// executes the first shell that it finds.
const gitlabShell = `if [ -x /usr/local/bin/bash ]; then
	exec /usr/local/bin/bash
elif [ -x /usr/bin/bash ]; then
	exec /usr/bin/bash
elif [ -x /bin/bash ]; then
	exec /bin/bash
elif [ -x /usr/local/bin/sh ]; then
	exec /usr/local/bin/sh
elif [ -x /usr/bin/sh ]; then
	exec /usr/bin/sh
elif [ -x /bin/sh ]; then
	exec /bin/sh
else
	echo shell not found
	exit 1
fi
`

// gitlabScript is the script that a runner generates: one word in quotes for eval.
func gitlabScript(variables map[string]string, lines []string, logins string) string {
	quoted := func(s string) string {
		return "$'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
	}
	script := "export CI_PROJECT_DIR=/builds/group/app\nexport DOCKER_AUTH_CONFIG=" + quoted(logins) + "\n"
	for name, value := range variables {
		script += "export " + name + "=" + quoted(strings.ReplaceAll(value, "$CI_PROJECT_DIR", "/builds/group/app")) + "\n"
	}
	script += `cd "/builds/group/app"` + "\n"
	for _, line := range lines {
		script += "echo " + quoted("\x1b[32;1m$ "+line+"\x1b[0;m") + "\n" + line + "\n"
	}
	return "set -o errexit\nset +o noclobber\n: | eval " + quoted(script) + "\nexit 0\n"
}

// bootcPage prepares a small bootable base image. The page's workflow runs like a GitHub workflow.
func bootcPage(p *document) {
	root := p.smallRoot()
	e := p.engine()
	p.secured()
	for _, line := range []string{
		"mkdir -p root/usr/lib/modules/6.1.0 root/sysroot/ostree/repo root/boot root/proc root/sys root/dev root/run root/tmp root/var/log",
		"echo kernel >root/usr/lib/modules/6.1.0/vmlinuz", "echo objects >root/sysroot/ostree/repo/config", "ln -s sysroot/ostree root/ostree",
		`printf '#!/bin/sh\necho "bootc $*"\n' >root/usr/bin/bootc && chmod 0755 root/usr/bin/bootc`, "chmod 1777 root/tmp",
	} {
		if out, err := p.shell(line); err != nil {
			p.t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	e.Podman("tag", e.Load(appImage(p.t, root)), "localhost/base:1")
	e.Load(chunkahImage(p.t))
	r := newRunner(p, root)
	clients.Run(p.t, exec.Command("cp", "--archive", root, filepath.Join(r.workspace, "root")))
	r.write(filepath.Join(r.workspace, "Containerfile"), "FROM scratch\nCOPY root/ /\n")
	p.after = func(b block) {
		if !strings.Contains(b.text, "localhost/os:2") {
			return
		}
		if out := e.Podman("run", "--rm", "localhost/os:2", "cat", "/usr/lib/app/app.conf"); out != "answer = 7\n" {
			p.t.Errorf("%s: the image has %q", p.name, out)
		}
		config := e.Podman("inspect", "--format", "{{json .Config}}", "localhost/os:2")
		for _, want := range []string{`"containers.bootc":"1"`, `"/sbin/init"`} {
			if !strings.Contains(config, want) {
				p.t.Errorf("%s: there is no %s in the config: %s", p.name, want, config)
			}
		}
	}
	for _, b := range blocksOf(p.t, p.name) {
		if b.kind == "yaml" {
			r.run(b.text)
			r.run(b.text)
		}
	}
}
