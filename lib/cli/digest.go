package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"chunkah/lib/image"
)

// digestFlags tell programs which image was made.
type digestFlags struct {
	DigestFile  string `long:"digest-file" value-name:"FILE" unquote:"false" description:"write the digest of the manifest to FILE once the image is in place"`
	PrintDigest bool   `long:"print-digest" description:"print the digest on standard output once the image is in place"`
}

// check refuses what can be told before the work.
func (f *digestFlags) check(target image.Source) error {
	if f.PrintDigest && target.IsStdout() {
		return usagef("--print-digest: standard output has the image: name a place for it with -o, or use --digest-file")
	}
	if f.DigestFile != "" && (!isDir(filepath.Dir(f.DigestFile)) || isDir(f.DigestFile)) {
		return usagef("--digest-file %q is not a file in an existing directory: create the directory, or name another one", f.DigestFile)
	}
	return nil
}

// tell writes the digest of an image that is in place.
func (f *digestFlags) tell(ctx context.Context, env *Env, digest string) error {
	if f.DigestFile != "" {
		if err := writeNamed(ctx, f.DigestFile, []byte(digest)); err != nil {
			return fmt.Errorf("the image %s is in place: writing its digest: %w", digest, err)
		}
	}
	if !f.PrintDigest {
		return nil
	}
	_, err := fmt.Fprintln(env.writer(ctx), digest)
	return err
}

// digestFile describes the file of an earlier run, which is no part of a root.
func (f *digestFlags) digestFile() []os.FileInfo { return earlier(f.DigestFile) }
