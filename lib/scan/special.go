package scan

import (
	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// special decides about a socket, FIFO or device: true takes it in.
func (w *walker) special(f *format.File, st rootfs.Stat) bool {
	what := specialType(f, st)
	overlay := f.Type == format.TypeChar && st.RdevMajor == 0 && st.RdevMinor == 0
	switch {
	case w.opt.Special == SpecialSkip && overlay:
		w.report.skip("overlayfs whiteout")
	case w.opt.Special == SpecialSkip:
		w.report.skip(what)
	case overlay:
		w.faults.overlay = append(w.faults.overlay, fault{path: f.Path})
	case w.opt.Special != SpecialKeep:
		w.faults.special = append(w.faults.special, fault{f.Path, what})
	case f.Type == "":
		w.report.skip("socket: a tar has none")
	default:
		f.DevMajor, f.DevMinor = st.RdevMajor, st.RdevMinor
		return true
	}
	return false
}

// specialType sets the record's type, where a tar has one, and names it.
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
