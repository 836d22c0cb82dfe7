package extract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
	"chunkah/lib/temp"
)

// Directory is the directory to which a tree is written. A new directory has a temporary name until
// Commit. An existing empty directory is filled in place, so that it can be a mount point. Until
// everything else is complete, the directory contains the staging directory.
type Directory struct {
	name    string   // as the user wrote it
	path    string   // absolute
	dir     *os.File // the directory, whatever its name leads to now
	lock    *os.File // the same if it has a temporary name; nil if an existing directory is filled
	staging *staging
	before  unix.Stat_t // metadata of the existing directory
	done    bool
	// finished lists the directories below it that have their final modes, parents first.
	finished []string
}

// Create prepares a directory. It must not exist, or must be empty.
func Create(name string) (*Directory, error) {
	d, err := create(name)
	if err != nil {
		return nil, fmt.Errorf("extracting to %q: %w", name, err)
	}
	return d, nil
}

func create(name string) (*Directory, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	d := &Directory{name: name, path: path}
	d.dir, err = os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d, d.createNew()
	case err != nil:
		return nil, cause(err)
	}
	err = d.checkEmpty()
	if err == nil {
		err = interrupt.Retry(func() error { return unix.Fstat(int(d.dir.Fd()), &d.before) })
	}
	if err != nil {
		_ = d.dir.Close() // it was only read
		return nil, err
	}
	return d, d.prepare()
}

// checkEmpty makes sure that an existing directory is empty.
func (d *Directory) checkEmpty() error {
	const enough = 2 // the mark of a killed run and one file
	names, _ := d.dir.Readdirnames(enough)
	switch {
	case len(names) == 0:
		return nil
	case !temp.Is(names[0]):
		return errors.New("not empty: use a new directory, or empty this one")
	}
	return fmt.Errorf("contains files of an unfinished run (%s): empty it, or use a new directory", names[0])
}

// prepare makes the directory private, and creates the staging directory in it.
func (d *Directory) prepare() error {
	err := private(d.at())
	if err == nil {
		d.staging, err = newStaging(d.at())
	}
	if err != nil {
		return errors.Join(cause(err), d.Discard())
	}
	return nil
}

// createNew creates a directory with a temporary name next to the final name.
func (d *Directory) createNew() (err error) {
	if _, err := os.Lstat(d.path); err == nil {
		return errors.New("is a dangling symlink")
	}
	parent := filepath.Dir(d.path)
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return fmt.Errorf("the directory %q does not exist: create it first", parent)
	}
	if d.lock, err = temp.Mkdir(parent, 0o700); err != nil {
		return cause(err)
	}
	d.dir = d.lock
	return d.prepare()
}

// private makes a directory accessible only to its owner, and removes everything that new files
// would inherit from it: ACLs and the setgid bit.
func private(path string) error {
	for _, acl := range []string{"system.posix_acl_default", "system.posix_acl_access"} {
		err := unix.Removexattr(path, acl)
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("removing its ACL: %w", err)
		}
	}
	if err := unix.Chmod(path, 0o700); err != nil {
		return fmt.Errorf("changing its mode: %w", err)
	}
	return nil
}

// at returns a path that leads to the open directory. Anybody who can write to the parent of the
// directory can replace the directory's name with a symlink.
func (d *Directory) at() string { return fmt.Sprintf("/proc/self/fd/%d", d.dir.Fd()) }

// open opens the directory as a root.
func (d *Directory) open() (*rootfs.Root, error) { return rootfs.Open(d.at()) }

// unmark removes the staging directory, including files that no path uses. Afterwards the directory
// is complete except for its own metadata.
func (d *Directory) unmark() error { return cause(os.RemoveAll(d.staging.dir.Name())) }

// Commit renames a new directory to its final name.
func (d *Directory) Commit() error {
	if d.lock != nil {
		if err := rename(unix.AT_FDCWD, d.lock.Name(), unix.AT_FDCWD, d.path); err != nil {
			return fmt.Errorf("extracting to %q: %w", d.name, err)
		}
	}
	d.done = true
	d.close()
	return nil
}

// close closes files that were open only for their locks.
func (d *Directory) close() {
	if d.dir != nil {
		_ = d.dir.Close()
	}
	if d.staging != nil {
		_ = d.staging.dir.Close()
	}
}

// rename renames a directory. If the file system supports it, an existing target is not replaced.
func rename(fromDir int, from string, toDir int, to string) error {
	return interrupt.Retry(func() error {
		err := unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			err = unix.Renameat(fromDir, from, toDir, to)
		}
		return err
	})
}

// Discard removes everything that was written. After Commit it does nothing.
func (d *Directory) Discard() error {
	if d.done {
		return nil
	}
	d.done = true
	defer d.close()
	d.makeWritable()
	if err := d.remove(); err != nil {
		return fmt.Errorf("removing the files extracted to %q: %w", d.name, err)
	}
	return nil
}

func (d *Directory) remove() error {
	entries, err := os.ReadDir(d.at())
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.at(), e.Name())))
	}
	if d.lock != nil {
		return errors.Join(err, unix.Rmdir(d.lock.Name()))
	}
	return errors.Join(err, d.reset())
}

// reset restores the owner and mode of an existing directory.
func (d *Directory) reset() error {
	var now unix.Stat_t
	if err := interrupt.Retry(func() error { return unix.Fstat(int(d.dir.Fd()), &now) }); err != nil {
		return err
	}
	if now.Uid != d.before.Uid || now.Gid != d.before.Gid {
		if err := unix.Fchown(int(d.dir.Fd()), int(d.before.Uid), int(d.before.Gid)); err != nil {
			return err
		}
	}
	return unix.Fchmod(int(d.dir.Fd()), d.before.Mode&0o7777)
}

// makeWritable sets the modes of directories so that their owner can remove files. It ignores
// errors, because removing the files then fails too.
func (d *Directory) makeWritable() {
	_ = unix.Chmod(d.at(), 0o700)
	root, err := d.open()
	if err != nil {
		return
	}
	defer root.Close()
	for _, path := range d.finished { // parents first
		if parent, err := root.OpenDir(format.Parent(path)); err == nil {
			_ = named{parent.Fd(), format.Base(path)}.chmod(0o700)
			parent.Close()
		}
	}
}

// cause returns the error without its path, because the path is the user's directory or a temporary
// one.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
