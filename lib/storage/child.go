//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
	"go.podman.io/storage/pkg/reexec"
)

// RunChild runs the function for which this process was started by go.podman.io/storage: it unpacks
// a layer in a process of its own, with the layer's directory as its root. It reports whether there
// was one. Call it first in main.
func RunChild() bool {
	if strings.HasPrefix(os.Args[0], "storage-") {
		// A terminal sends a signal to both processes. The parent ends the child.
		signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	}
	return reexec.Init()
}

// logTo sends the warnings of go.podman.io/storage to warn. They are those of the whole process.
func logTo(warn func(string)) {
	logrus.SetOutput(io.Discard)
	logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
	if warn != nil {
		logrus.AddHook(logHook{warn})
	}
}

// logHook passes a warning on.
type logHook struct{ warn func(string) }

func (logHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.ErrorLevel, logrus.WarnLevel}
}

func (h logHook) Fire(e *logrus.Entry) error {
	h.warn("containers-storage: " + e.Message)
	return nil
}
