package scan

import "chunkah/lib/rootfs"

// Sparse is a file that takes far less on the disk than in an image, which has its holes as
// zeros.
type Sparse struct {
	Path         string
	Size, Stored int64 // bytes, in the image and on the disk
}

// A file is named as sparse where it saves leastHoles, in bytes, and takes less than a
// part in holesShare of its size: file systems that compress save less of most files.
const (
	leastHoles = 64 << 20
	holesShare = 8
)

func isSparse(st rootfs.Stat) bool {
	return st.Size-st.Stored >= leastHoles && st.Stored < st.Size/holesShare
}
