/* dst[dst_row[i]] = src[src_row[i]], an item an element. ELEMENT is whatever type the rows divide
 * into. */
#ifndef ELEMENT
#define ELEMENT uint
#endif

/* Offsets and width in ELEMENTs. */
kernel void copy_rows(global ELEMENT *dst, ulong dst_at, global const int *dst_row,
                      ulong dst_row_at, global const ELEMENT *src, ulong src_at,
                      global const int *src_row, ulong src_row_at, int width)
{
    int i = (int)get_global_id(0), row = (int)get_global_id(1);
    int to = dst_row ? dst_row[dst_row_at + row] : row;
    int from = src_row ? src_row[src_row_at + row] : row;
    if (i >= width || to < 0 || from < 0)
        return;
    dst[dst_at + (ulong)to * (ulong)width + i] = src[src_at + (ulong)from * (ulong)width + i];
}
