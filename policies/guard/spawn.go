package guard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Spawn starts a watchdog, this program again with other arguments, and returns when the watchdog
// reports on descriptor 3 that it is up, before a deadline. The watchdog has its own session, so
// it outlives this process, its terminal and the SSH connection.
func Spawn(dir string, args []string, deadline time.Time) error {
	log, err := os.OpenFile(Log(dir), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("starting the guard: %w", err)
	}
	defer log.Close()
	up, says, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the guard: %w", err)
	}
	defer up.Close()
	// The file that runs now, even if another was put in its place.
	cmd := exec.Command("/proc/self/exe", args...) //nolint:gosec // this program; it has to outlive every context
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{says}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = says.Close()
	if err != nil {
		return fmt.Errorf("starting the guard: %w", err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what it did is in the state
		close(done)
	}()
	err = up.SetReadDeadline(deadline)
	if err == nil {
		var word [1]byte
		_, err = io.ReadFull(up, word[:])
	}
	if err != nil {
		_ = cmd.Process.Kill()
		<-done
		return fmt.Errorf("starting the guard: %w", errors.Join(err, errors.New(Messages(dir))))
	}
	return nil
}

// Ready reports to [Spawn], at the other end of descriptor 3, that the watchdog is up.
func Ready() error {
	f := os.NewFile(3, "ready")
	if f == nil {
		return errors.New("descriptor 3 is not open")
	}
	_, err := f.WriteString("r")
	return errors.Join(err, f.Close())
}
