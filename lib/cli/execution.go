package cli

import (
	"strconv"
	"time"

	"chunkah/lib/oci"
)

// executionFlags change the part of the config that applies to containers created from the image.
type executionFlags struct {
	Entrypoint string   `long:"entrypoint" value-name:"WORDS|JSON|-" unquote:"false" description:"set the entrypoint: words separated by spaces, or a JSON array; - removes it" section:"Image" brief:"set the entrypoint: words or a JSON array"`
	Cmd        string   `long:"cmd" value-name:"WORDS|JSON|-" unquote:"false" description:"set the default command, in the same form"`
	Env        []string `long:"env" value-name:"K=V|K-|-" unquote:"false" description:"set a variable (K=V), remove it (K-), or remove all (-); repeatable" brief:"set or remove environment variables (repeatable)"`
	User       string   `long:"user" value-name:"USER[:GROUP]" unquote:"false" description:"set the user; - removes it"`
	WorkDir    string   `long:"workdir" value-name:"PATH" unquote:"false" description:"set the working directory; - removes it"`
	Expose     []string `long:"expose" value-name:"PORT[/PROTO]" unquote:"false" description:"add a port; PORT- removes it, and - removes all (repeatable)" brief:"add a port (repeatable)"`
	Volume     []string `long:"volume" value-name:"PATH" unquote:"false" description:"add a volume; PATH- removes it, and - removes all (repeatable)" brief:"add a volume (repeatable)"`
	StopSignal string   `long:"stop-signal" value-name:"SIGNAL" unquote:"false" description:"set the signal that ends a container; - removes it"`
	Created    string   `long:"created" value-name:"TIME" unquote:"false" description:"set the creation time in the config, in Unix seconds or as 2026-01-31T12:00:00Z; does not change file times or layers" brief:"set the creation time in the config"`
}

func (f *executionFlags) edit(config *oci.Config) error {
	err := config.EditExecution(oci.Execution{
		User: f.User, WorkDir: f.WorkDir, StopSignal: f.StopSignal, Entrypoint: f.Entrypoint, Cmd: f.Cmd,
		Env: f.Env, Ports: f.Expose, Volumes: f.Volume,
	})
	if err != nil {
		return &usageError{err}
	}
	return nil
}

// created returns the creation time for the config, or nil if it is not set.
func (f *executionFlags) created() (*time.Time, error) {
	if f.Created == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, f.Created)
	if seconds, bad := strconv.ParseInt(f.Created, 10, 64); bad == nil {
		t, err = time.Unix(seconds, 0), nil
	}
	if t = t.UTC(); err != nil || t.Year() < 0 || t.Year() > 9999 {
		return nil, usagef("--created %q is not a time: expected Unix seconds, or a time such as 2026-01-31T12:00:00Z", f.Created)
	}
	return &t, nil
}

// given reports whether any flag that affects how containers run is set.
func (f *executionFlags) given() bool {
	return f.Entrypoint+f.Cmd+f.User+f.WorkDir+f.StopSignal != "" || len(f.Env)+len(f.Expose)+len(f.Volume) > 0
}
