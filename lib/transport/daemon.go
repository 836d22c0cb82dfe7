package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"chunkah/lib/daemon"
	"chunkah/lib/image"
	"chunkah/lib/oci"
)

// Daemon is the storage of a Docker daemon.
var Daemon = &image.Transport{
	Prefix: "docker-daemon:", Form: "docker-daemon:NAME", Purpose: "for the local Docker daemon",
	Syntax: image.RefOnly, DockerFormat: true, ByConfig: true,
	CheckRef: checkDaemonRef,
	Open:     openDaemon,
	Create:   createDaemon,
}

// daemonRef matches a name with a digest, or an ID.
var daemonRef = regexp.MustCompile(`^([^@]+@)?sha256:[0-9a-f]{64}$`)

func checkDaemonRef(ref string) error {
	if daemonRef.MatchString(ref) {
		return nil
	}
	return oci.CheckTag(ref)
}

// openDaemon reads the image from the daemon as one stream, which is spooled like the output of
// docker save.
func openDaemon(ctx context.Context, src image.Location, opt image.Options) (image.Fetcher, error) {
	client, err := daemon.Open()
	if err != nil {
		return nil, err
	}
	id, err := client.ID(ctx, src.Ref)
	if err != nil {
		return nil, err
	}
	in, err := client.Save(ctx, id)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	archive, err := image.ReadDockerArchive(ctx, fmt.Sprintf("the image %s of the Docker daemon", src.Ref), in, opt)
	if err != nil {
		return nil, err
	}
	return daemonImage{archive, id}, nil
}

var _ image.Named = daemonImage{}

// daemonImage is the only image in an archive.
type daemonImage struct {
	image.Fetcher
	id string
}

// Manifest implements image.Fetcher.
func (i daemonImage) Manifest(ctx context.Context, _ string) (data []byte, mediaType string, err error) {
	return i.Fetcher.Manifest(ctx, "")
}

// Ref is a name that always identifies exactly this image in the daemon.
func (i daemonImage) Ref() string { return i.id }

// createDaemon streams a docker archive to the daemon, which loads it once it is complete.
func createDaemon(ctx context.Context, to image.Location, opt image.CreateOptions) (oci.Destination, error) {
	if opt.Readable {
		return nil, errors.New("--verify must read the image before it appears, which a Docker daemon does not allow: use docker-archive:FILE and docker load")
	}
	client, err := daemon.Open()
	if err != nil {
		return nil, err
	}
	if err := client.Ping(ctx); err != nil {
		return nil, err
	}
	in, out := io.Pipe()
	l := &load{w: out, done: make(chan error, 1)}
	l.DockerArchive = oci.NewDockerArchive(oci.NewArchive(namedWriter{out, to.String()}))
	go func() {
		err := client.Load(ctx, struct{ io.Reader }{in})
		in.CloseWithError(err) // ends pending writes
		l.done <- err
	}()
	return l, nil
}

// namedWriter is a writer with a name for messages.
type namedWriter struct {
	io.Writer
	name string
}

func (w namedWriter) Name() string { return w.name }

// load is an image that is being sent to a daemon.
type load struct {
	*oci.DockerArchive
	w    *io.PipeWriter
	done chan error // receives the request's error; nil once the request has ended
}

// Commit implements oci.Destination.
func (l *load) Commit() error {
	err := l.DockerArchive.Commit()
	if ended := l.end(err); err == nil {
		err = ended
	}
	return err
}

// Discard implements oci.Destination. The daemon receives an archive without an end, which it
// refuses.
func (l *load) Discard() error {
	err := l.DockerArchive.Discard()
	_ = l.end(errDiscarded) // the request returns the same error
	return err
}

var errDiscarded = errors.New("the image was discarded")

// end ends the stream and waits for the daemon's response.
func (l *load) end(why error) error {
	if l.done == nil {
		return nil
	}
	l.w.CloseWithError(why) // nil ends the archive normally
	err := <-l.done
	l.done = nil
	return err
}
