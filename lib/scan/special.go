package scan

import (
	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// special decides whether a socket, FIFO or device is included.
func (r *reading) special(f *format.File, st rootfs.Stat) bool {
	what := specialType(f, st)
	overlay := f.Type == format.TypeChar && st.RdevMajor == 0 && st.RdevMinor == 0
	switch {
	case overlay && r.opt.Whiteouts:
		*f = format.File{Path: f.Path, Type: format.TypeWhiteout, Components: []string{format.Deletions}}
		return true
	case r.opt.Special == SpecialSkip && overlay:
		r.report.skip("overlayfs whiteout")
	case r.opt.Special == SpecialSkip:
		r.report.skip(what)
	case overlay:
		r.faults.add(FaultOverlay, f.Path, "")
	case r.opt.Special != SpecialKeep:
		r.faults.add(FaultSpecial, f.Path, what)
	case f.Type == 0:
		r.report.skip("socket: cannot be stored in a tar")
	default:
		f.DevMajor, f.DevMinor = st.RdevMajor, st.RdevMinor
		return true
	}
	return false
}

// specialType sets the record's type if a tar can store this type, and returns the type's name.
func specialType(f *format.File, st rootfs.Stat) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		f.Type = format.TypeFifo
		return "FIFO"
	case unix.S_IFCHR:
		f.Type = format.TypeChar
		return "character device"
	case unix.S_IFBLK:
		f.Type = format.TypeBlock
		return "block device"
	}
	return "socket"
}
