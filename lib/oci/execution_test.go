package oci

import (
	"encoding/json"
	"strings"
	"testing"
)

func executionOf(t *testing.T, text string, e Execution) (string, error) {
	t.Helper()
	c, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(c.execution())
	err = c.EditExecution(e)
	after, _ := json.Marshal(c.execution())
	if err != nil && string(before) != string(after) {
		t.Errorf("%+v: changed to %s by an error", e, after)
	}
	return string(after), err
}

// Each option changes only its own setting.
func TestEditExecution(t *testing.T) {
	const old = `{"config":{"User":"app","Env":["A=1","B=2","C"],"Cmd":["/x"],"ExposedPorts":{"80/tcp":{}},"Volumes":{"/d":{}},"WorkingDir":"/w","StopSignal":"SIGINT"}}`
	for _, test := range []struct {
		old  string
		edit Execution
		want string
	}{
		{old, Execution{}, `{"Cmd":["/x"],"Env":["A=1","B=2","C"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGINT","User":"app","Volumes":{"/d":{}},"WorkingDir":"/w"}`},
		{old, Execution{User: "-", WorkDir: "-", StopSignal: "-", Cmd: "-", Env: []string{"-"}, Ports: []string{"-"}, Volumes: []string{"-"}}, `{}`},
		{"{}", Execution{
			User: "1000:1000", WorkDir: "/srv", StopSignal: "SIGRTMIN+3", Entrypoint: `["/bin/sh", "-c", "a <b"]`, Cmd: "  serve  --all ",
			Env: []string{"PATH=/bin", "X=", "PATH=/usr/bin"}, Ports: []string{"80", "53/udp", "8000-8080"}, Volumes: []string{"/var/lib"},
		}, `{"Cmd":["serve","--all"],"Entrypoint":["/bin/sh","-c","a \u003cb"],"Env":["PATH=/usr/bin","X="],"ExposedPorts":{"53/udp":{},"80/tcp":{},"8000-8080/tcp":{}},"StopSignal":"SIGRTMIN+3","User":"1000:1000","Volumes":{"/var/lib":{}},"WorkingDir":"/srv"}`},
		{`{"config":{"Env":["A=1","B=2","C"],"ExposedPorts":{"80/tcp":{}}}}`, Execution{Env: []string{"B=3", "C-", "A-", "A=4"}, Ports: []string{"443", "80-"}, Cmd: "[]"},
			`{"Cmd":[],"Env":["B=3","A=4"],"ExposedPorts":{"443/tcp":{}}}`},
	} {
		if got, err := executionOf(t, test.old, test.edit); err != nil || got != test.want {
			t.Errorf("%+v:\n got %s, %v\nwant %s", test.edit, got, err, test.want)
		}
	}
	for want, edit := range map[string]Execution{
		`--workdir "srv": must be an absolute path`:                     {WorkDir: "srv"},
		`--stop-signal "sigterm": must be a signal such as SIGTERM`:     {StopSignal: "sigterm"},
		`--entrypoint "sh -c 'x'": must be words`:                       {Entrypoint: "sh -c 'x'"},
		`--cmd "[1]": must be a JSON array of strings`:                  {Cmd: "[1]"},
		`--env "A" is invalid`:                                          {Env: []string{"A"}},
		`--env "=x" is invalid`:                                         {Env: []string{"=x"}},
		`--expose "http/tcp": must be a port such as 80`:                {Ports: []string{"http"}},
		`--expose "80/icmp": must be a port such as 80`:                 {Ports: []string{"80/icmp"}},
		`--volume "data": must be an absolute path`:                     {User: "x", Volumes: []string{"data"}},
		`--user "a\x00" is not UTF-8, or contains a NUL`:                {User: "a\x00"},
		`--volume "/\xff" is not UTF-8, or contains a NUL`:              {Volumes: []string{"/\xff"}},
		`--env "A=\xff" is not UTF-8, or contains a NUL`:                {Env: []string{"A=\xff"}},
		`--expose "-80/tcp": must be a port such as 80`:                 {Ports: []string{"-80"}},
		`--cmd "x\xff": must be words separated by spaces`:              {Cmd: "x\xff"},
		`--workdir "/a\xff" is not UTF-8, or contains a NUL`:            {WorkDir: "/a\xff"},
		`--stop-signal "SIGTERM SIGINT": must be a signal such as SIGT`: {StopSignal: "SIGTERM SIGINT"},
	} {
		if _, err := executionOf(t, `{"config":{"User":"app"}}`, edit); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: got %v, want %s", edit, err, want)
		}
	}
}
