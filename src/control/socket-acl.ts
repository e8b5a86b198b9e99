/**
 * Lets a second group use a file, beside the group it belongs to: the access list of acl(5), as the extended
 * attribute that the kernel takes it in (`struct posix_acl_xattr_header`, linux/posix_acl_xattr.h). Unlike giving a
 * file to a group, its owner may do that for any group. The mode stays what it is: 0660 is what the list allows at most.
 */
import { check, setxattr } from '../sys/libc.ts';

const ATTRIBUTE = 'system.posix_acl_access';
const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

/** Tags of entries. */
const USER_OBJ = 0x01;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;
const NO_ID = 0xffff_ffff;
const READ_WRITE = 6;

/**
 * Gives owner, owning group and `group` (a gid) read and write access, others none.
 *
 * @throws SystemError EOPNOTSUPP when the file system has no access lists
 */
export function allowGroup(path: string, group: number): void {
  // In the order of their tags: the kernel wants them sorted.
  const entries: readonly (readonly [tag: number, permissions: number, id: number])[] = [
    [USER_OBJ, READ_WRITE, NO_ID],
    [GROUP_OBJ, READ_WRITE, NO_ID],
    [GROUP, READ_WRITE, group],
    [MASK, READ_WRITE, NO_ID],
    [OTHER, 0, NO_ID],
  ];
  const list = Buffer.alloc(HEADER_BYTES + entries.length * ENTRY_BYTES);
  list.writeUInt32LE(VERSION, 0);
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    list.writeUInt16LE(tag, at);
    list.writeUInt16LE(permissions, at + 2);
    list.writeUInt32LE(id, at + 4);
  }
  check(setxattr(path, ATTRIBUTE, list, list.length, 0), `setxattr(${ATTRIBUTE})`, path);
}
