package chunked

import (
	"fmt"
	"strings"
	"testing"

	"chunkah/format"
)

func TestObstacle(t *testing.T) {
	x := []format.Xattr{{Name: "security.capability", Value: []byte{1}}}
	for name, tt := range map[string]struct {
		files []*format.File
		want  string // part of the reason
		path  string
	}{
		"ordinary":          {[]*format.File{{Path: "/a", Type: format.TypeFile, Xattrs: x, UID: 1}, {Path: "/é", Type: format.TypeDir, UID: 1, Xattrs: x}}, "", ""},
		"links":             {[]*format.File{{Path: "/a", Type: format.TypeFile, Hardlink: 1}, {Path: "/b", Type: format.TypeFile, Hardlink: 1}}, "", ""},
		"links with xattrs": {[]*format.File{{Path: "/a", Type: format.TypeFile, Hardlink: 1, Xattrs: x}, {Path: "/b", Type: format.TypeFile, Hardlink: 1, Xattrs: x}}, "hard-linked file", "/b"},
		"one name":          {[]*format.File{{Path: "/a", Type: format.TypeFile, Hardlink: 1, Xattrs: x}}, "", ""},
		"character device":  {[]*format.File{{Path: "/a", Type: format.TypeFile}, {Path: "/c", Type: format.TypeChar, DevMajor: 1}}, "a device", "/c"},
		"block device":      {[]*format.File{{Path: "/c", Type: format.TypeBlock}}, "a device", "/c"},
		"fifo":              {[]*format.File{{Path: "/c", Type: format.TypeFifo}}, "FIFO", "/c"},
		"symlink":           {[]*format.File{{Path: "/l", Type: format.TypeSymlink, Target: "a"}}, "", ""},
		"symlink of a user": {[]*format.File{{Path: "/l", Type: format.TypeSymlink, Target: "a", GID: 1}}, "root does not own", "/l"},
		"symlink's xattr":   {[]*format.File{{Path: "/l", Type: format.TypeSymlink, Target: "a", Xattrs: x}}, "extended attributes", "/l"},
		"name":              {[]*format.File{{Path: "/\xff", Type: format.TypeFile}}, "not UTF-8", "/\xff"},
		"target":            {[]*format.File{{Path: "/l", Type: format.TypeSymlink, Target: "\xff"}}, "not UTF-8", "/l"},
		"xattr name":        {[]*format.File{{Path: "/a", Type: format.TypeFile, Xattrs: []format.Xattr{{Name: "user.\xff"}}}}, "not UTF-8", "/a"},
		"year 10000":        {[]*format.File{{Path: "/a", Type: format.TypeFile, MTime: maxTime + 1}}, "9999", "/a"},
		"before the year 0": {[]*format.File{{Path: "/a", Type: format.TypeFile, MTime: minTime - 1}}, "9999", "/a"},
		"year 9999":         {[]*format.File{{Path: "/a", Type: format.TypeFile, MTime: maxTime}}, "", ""},
	} {
		reason, path := Obstacle(tt.files)
		if tt.want == "" && reason != "" || !strings.Contains(reason, tt.want) || path != tt.path {
			t.Errorf("%s: %q, %q; want %q, %q", name, reason, path, tt.want, tt.path)
		}
	}
}

// A layer is not marked if clients would refuse its table.
func TestTooManyFiles(t *testing.T) {
	var files []*format.File
	name := strings.Repeat("n", 200)
	for i := range fullTOC / 400 {
		files = append(files, &format.File{Path: fmt.Sprintf("/%s%d", name, i), Type: format.TypeFile})
	}
	if reason, _ := Obstacle(files); !strings.Contains(reason, "too many") {
		t.Errorf("%d files: %q", len(files), reason)
	}
	if reason, _ := Obstacle(files[:len(files)/2]); reason != "" {
		t.Errorf("%d files: %q", len(files)/2, reason)
	}
}
