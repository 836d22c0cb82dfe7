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

// RunChild runs go.podman.io/storage's child code if the library started this process for that. The
// child unpacks a layer, with the layer's directory as its root directory. RunChild reports whether
// this process is such a child. Call it first in main.
func RunChild() bool {
	if strings.HasPrefix(os.Args[0], "storage-") {
		// A terminal sends signals to both processes. The parent stops the child.
		signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	}
	return reexec.Init()
}

// logTo sends all warnings that go.podman.io/storage logs in this process to warn.
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
