// Package pkgdb contains code that the repos of package databases share. Lines reads a text file of
// a database within bounds. Collector turns packages into claims. A repo's result does not depend
// on the order of its packages, and no input makes it use much memory.
//
// # Precedence of claims
//
// A package claims the files in its list. Claims by removed packages or on obsolete files are
// fallback claims, which are used only if no package lists the file. The package manager's own
// files change in every build. They are the component REPO/.database, even if packages list them.
// No package can have that name.
//
// # Files in no list
//
// Many files that no package lists were made by a package's scripts from files in its list. If
// their names show their origin, they are claimed as a fallback:
//
//   - Compiled Python belongs to the owner of its source: __pycache__/x.TAG.pyc and x.pyc belong to
//     the owner of x.py.
//   - A symlink belongs to the owner of the file that it leads to. Examples are enabled services,
//     certificates, and the commands of a multi-call binary. This does not apply to links that lead
//     to directories, or to links in places where people create links themselves (/usr/local, /opt,
//     /home …).
//   - A copy of a configuration file that the package manager keeps, such as FILE.dpkg-dist,
//     belongs to the owner of that file.
//
// Such files are added and removed together with their package, so other packages do not change
// their layer. The package's clamp limits their mtimes, so other builds do not change the layer
// either.
package pkgdb
