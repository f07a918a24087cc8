package audit

import "fmt"

// Group is a group for the key exchange that a ClientHello of package collect can offer, with its number
// and name in the IANA registry "TLS Supported Groups".
type Group struct {
	ID          uint16
	Name        string
	Weakness    string // why a server must not accept it, or empty
	PostQuantum bool   // a hybrid with ML-KEM
}

// Groups returns the groups, the worst first. Curves of fewer than 256 bits are weak: BSI TR-02102-2 and
// RFC 8422 have none of them. Curves over binary fields of more bits and secp256k1, which
// RFC 8422 also took back, are left out.
func Groups() []Group {
	const (
		broken = "its security is 80 to 96 bits"
		short  = "its security is at most 112 bits"
	)
	return []Group{
		{ID: 0x000F, Name: "secp160k1", Weakness: broken},
		{ID: 0x0010, Name: "secp160r1", Weakness: broken},
		{ID: 0x0011, Name: "secp160r2", Weakness: broken},
		{ID: 0x0001, Name: "sect163k1", Weakness: broken},
		{ID: 0x0002, Name: "sect163r1", Weakness: broken},
		{ID: 0x0003, Name: "sect163r2", Weakness: broken},
		{ID: 0x0012, Name: "secp192k1", Weakness: broken},
		{ID: 0x0013, Name: "secp192r1", Weakness: broken},
		{ID: 0x0004, Name: "sect193r1", Weakness: broken},
		{ID: 0x0005, Name: "sect193r2", Weakness: broken},
		{ID: 0x0014, Name: "secp224k1", Weakness: short},
		{ID: 0x0015, Name: "secp224r1", Weakness: short},
		{ID: 0x0006, Name: "sect233k1", Weakness: short},
		{ID: 0x0007, Name: "sect233r1", Weakness: short},
		{ID: 0x0008, Name: "sect239k1", Weakness: short},

		{ID: 0x11EC, Name: "X25519MLKEM768", PostQuantum: true},
		{ID: 0x11EB, Name: "SecP256r1MLKEM768", PostQuantum: true},
		{ID: 0x11ED, Name: "SecP384r1MLKEM1024", PostQuantum: true},

		{ID: 0x001D, Name: "x25519"},
		{ID: 0x0017, Name: "secp256r1"},
		{ID: 0x0018, Name: "secp384r1"},
		{ID: 0x0019, Name: "secp521r1"},
		{ID: 0x001E, Name: "x448"},
		{ID: 0x001A, Name: "brainpoolP256r1"},
		{ID: 0x001B, Name: "brainpoolP384r1"},
		{ID: 0x001C, Name: "brainpoolP512r1"},
	}
}

// GroupOf returns the group with a number. If it is not in [Groups], its name is the number.
func GroupOf(id uint16) Group {
	for _, g := range Groups() {
		if g.ID == id {
			return g
		}
	}
	return Group{ID: id, Name: fmt.Sprintf("0x%04X", id)}
}
