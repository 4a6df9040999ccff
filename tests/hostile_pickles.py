"""Pickles made to harm their reader, by what they do."""

import struct

NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
EMPTY = RECONSTRUCT + b"(" + NDARRAY + b"(K\x00tU\x01btR"  # an array before its state
BYTE = DTYPE + b"(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"

HOSTILE = {
    # Eight bytes that a careless reader would use as the address of an object.
    "an array over bytes": b"\x80\x02" + NDARRAY + b"(K\x01\x85U\x01OU\x08\x01AAAAAA\x01tR.",
    "an array of objects": b"\x80\x02" + EMPTY + b"(K\x01(K\x01t" + BYTE.replace(b"u1", b"O8")
                           + b"\x89U\x08AAAAAAAAtb.",
    "objects by their state": b"\x80\x02" + EMPTY + b"(K\x01(K\x01t" + BYTE.replace(b"|NNN", b"|(U\x01at}N")
                              + b"\x89U\x01AtR.",
    "more than its bytes": b"\x80\x02" + EMPTY + b"(K\x01(J\x00\x00\x00\x40t" + BYTE + b"\x89U\x08AAAAAAAAtb.",
    "less than its bytes": b"\x80\x02" + EMPTY + b"(K\x01(K\x01t" + BYTE + b"\x89U\x08AAAAAAAAtb.",
    "a negative size": b"\x80\x02" + EMPTY + b"(K\x01(J\xff\xff\xff\xffJ\xff\xff\xff\xfft" + BYTE + b"\x89U\x01Atb.",
    "sizes whose product overflows": b"\x80\x02" + EMPTY + b"(K\x01(" + 4 * b"J\x00\x00\x01\x00" + b"t" + BYTE
                                     + b"\x89U\x00tb.",
    "another class to reconstruct": b"\x80\x02" + RECONSTRUCT + b"(" + DTYPE + b"(K\x00tU\x01btR.",
    "a large array to reconstruct": b"\x80\x02" + RECONSTRUCT + b"(" + NDARRAY + b"(J\x00\x00\x00\x40tU\x01btR.",
    "a state for a list": b"\x80\x02]K\x01b.",
    "a class of its own": b"\x80\x02cposix\nsystem\n(U\x02idtR.",
    "a class by its attribute": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "an instance": b"(U\x02idiposix\nsystem\n.",
    "a class alone": b"\x80\x02" + NDARRAY + b".",
    "an array without a state": b"\x80\x02" + EMPTY + b".",
    "text decoded otherwise": b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00AX\x03\x00\x00\x00zip\x74R.",
    "an object by an identifier": b"\x80\x02U\x01aQ.",
    "an extension": b"\x80\x02\x82\x01.",
    "a pop from nothing": b"\x80\x02\x85\x85R.",
    "a mark that is not there": b"\x80\x02]e.",
    "a memory that is not there": b"\x80\x02h\x05.",
    "a list as a key": b"\x80\x02}]K\x01s.",
    "a whole number of a gigabyte": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"x.",
    "text of an exabyte": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "no end": b"\x80\x02]",
}
