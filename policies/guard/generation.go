package guard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// generation returns the number that the kernel gives to the current rules of nftables. Each change gives
// another one (Linux, net/netfilter/nf_tables_api.c, nf_tables_getgen).
func generation() (uint32, error) {
	id, err := askGeneration()
	if err != nil {
		return 0, fmt.Errorf("asking the kernel for the generation of the rules: %w", err)
	}
	return id, nil
}

var errNoGeneration = errors.New("no answer with a generation")

func askGeneration() (uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return 0, err
	}
	const nfgenmsg = 4 // its size, all of it zero: any family, version 0
	request := make([]byte, unix.SizeofNlMsghdr+nfgenmsg)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, err
	}
	return parseGeneration(answer[:n])
}

// parseGeneration reads the answer: a header, nfgenmsg, and attributes of a length and a type each.
func parseGeneration(answer []byte) (uint32, error) {
	const head = unix.SizeofNlMsghdr + 4
	if len(answer) < head || binary.NativeEndian.Uint16(answer[4:]) != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN {
		return 0, errNoGeneration
	}
	for rest := answer[head:]; len(rest) >= unix.SizeofNlAttr; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < unix.SizeofNlAttr || length > len(rest) {
			break
		}
		if binary.NativeEndian.Uint16(rest[2:]) == unix.NFTA_GEN_ID && length >= unix.SizeofNlAttr+4 {
			return binary.BigEndian.Uint32(rest[unix.SizeofNlAttr:]), nil
		}
		rest = rest[min(len(rest), (length+3)&^3):]
	}
	return 0, errNoGeneration
}
