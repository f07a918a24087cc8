// Package firstgc makes the first garbage collection of a command wait. What the packages of a
// large program allocate while they are initialised is just what starts one, so it would come
// in every start and take a sixth of it.
//
// It works by being imported: a collection that begins before main can be put off only by a
// package that is initialised before the large ones. Go initialises in the order of the import
// paths whatever is ready, and this package needs nothing.
package firstgc

import (
	"os"
	"runtime"
	"runtime/debug"
)

var _ = delay()

// delay lets the first collection come at about 16 MiB in use instead of 4. After it everything
// is as Go sets it. It does nothing where GOGC says what is wanted.
func delay() (delayed bool) {
	if os.Getenv("GOGC") != "" {
		return false
	}
	usual := debug.SetGCPercent(400)
	sentinel := new(*int) // a pointer, because what holds none may share its block with others
	runtime.AddCleanup(sentinel, func(percent int) { debug.SetGCPercent(percent) }, usual)
	return true
}
