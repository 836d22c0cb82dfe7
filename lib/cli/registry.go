package cli

import (
	"time"

	"chunkah/lib/image"
	"chunkah/lib/registry"
)

// imageFlags are shared by all commands that open images.
type imageFlags struct {
	Spool    string `long:"spool" value-name:"DIR" unquote:"false" description:"directory for temporary layer data (default: $TMPDIR, or else /var/tmp, /tmp or the output's directory)" section:"Images" brief:"directory for temporary data (default: $TMPDIR)"`
	Insecure bool   `long:"insecure" description:"allow plain HTTP and untrusted certificates" brief:"allow plain HTTP and untrusted certificates"`

	RegistryTimeout string `long:"registry-timeout" env:"CHUNKAH_REGISTRY_TIMEOUT" value-name:"TIME" unquote:"false" description:"cancel a registry request that makes no progress for TIME, such as 90s or 5m (default: 60s)" brief:"cancel stalled requests after TIME (default: 60s)"`
}

func (f *imageFlags) imageOptions(env *Env) image.Options {
	return image.Options{Spool: f.Spool, Registry: f.registryOptions(env)}
}

// registryOptions returns a function that returns the options of a registry client. So an invalid
// timeout is an error only if a registry is used.
func (f *imageFlags) registryOptions(env *Env) func() (registry.Options, error) {
	return func() (registry.Options, error) {
		opt := registry.Options{
			Insecure: f.Insecure, UserAgent: "chunkah/" + version(), Warn: func(text string) { env.warn("%s", text) },
		}
		if f.RegistryTimeout == "" {
			return opt, nil
		}
		var err error
		if opt.Timeout, err = time.ParseDuration(f.RegistryTimeout); err != nil || opt.Timeout <= 0 {
			return opt, usagef("registry timeout %q (--registry-timeout or CHUNKAH_REGISTRY_TIMEOUT) is not a time such as 90s or 5m", f.RegistryTimeout)
		}
		return opt, nil
	}
}
