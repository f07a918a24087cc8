// Package firstgc delays the first garbage collection of a command. The packages of a large program
// allocate just enough while they are initialised to start a collection, so it would happen in every
// start and take a sixth of its time.
//
// Importing the package is enough: only a package that is initialised before the large ones can delay
// a collection before main. Go initialises packages in the order of their import paths, as soon as
// their imports are ready, and this package has few.
package firstgc

import (
	"os"
	"runtime"
	"runtime/debug"
)

var _ = delay()

// delay makes the first collection start at about 16 MiB in use instead of 4. After it, Go's settings
// are in force again. It does nothing if GOGC is set.
func delay() (delayed bool) {
	if os.Getenv("GOGC") != "" {
		return false
	}
	usual := debug.SetGCPercent(400)
	sentinel := new(*int) // a pointer, because what holds none may share its block with others
	runtime.AddCleanup(sentinel, func(percent int) { debug.SetGCPercent(percent) }, usual)
	return true
}
