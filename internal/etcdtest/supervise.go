package etcdtest

import "runtime"

// supervise starts the process, waits for its end and closes done. It keeps one operating system
// thread until the process ends: Linux sends the death signal when the thread that started a process
// ends, not when the whole parent ends.
func (m *Member) supervise(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := m.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	err := m.cmd.Wait()
	m.mu.Lock()
	m.exit = err
	m.mu.Unlock()
	close(m.done)
}
