/* A 32-bit program without a C library: makes system calls and prints what they return, one number a line.
 *
 *   probe32 NUMBER [ARGUMENT]...        the call with up to five arguments
 *   probe32 socketcall CALL [VALUE]...  the multiplexed call with its arguments in memory
 *
 * The word "family" as NUMBER tries direct socket calls for each argument as a family.
 */
typedef unsigned int word;

static int invoke(word number, word a, word b, word c, word d, word e)
{
	int result;
	asm volatile("int $0x80" : "=a"(result)
		     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

static void print(int value)
{
	char text[16];
	int at = 16, negative = value < 0;
	word rest = negative ? 0u - (word)value : (word)value;
	text[--at] = '\n';
	do {
		text[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (negative)
		text[--at] = '-';
	invoke(4, 1, (word)(text + at), (word)(16 - at), 0, 0);
}

static word parse(const char *text)
{
	word value = 0;
	while (*text >= '0' && *text <= '9')
		value = value * 10 + (word)(*text++ - '0');
	return value;
}

void run(word *stack)
{
	word count = stack[0];
	char **arguments = (char **)(stack + 1);
	word values[8] = {0};
	word at;
	for (at = 2; at < count && at < 10; at++)
		values[at - 2] = parse(arguments[at]);
	if (count < 2)
		invoke(1, 2, 0, 0, 0, 0);
	if (arguments[1][0] == 's')
		print(invoke(102, values[0], (word)(values + 1), 0, 0, 0));
	else if (arguments[1][0] == 'f')
		for (at = 2; at < count; at++)
			print(invoke(359, parse(arguments[at]), 2, 0, 0, 0));
	else
		print(invoke(parse(arguments[1]), values[0], values[1], values[2], values[3], values[4]));
	invoke(1, 0, 0, 0, 0, 0);
}

asm(".globl _start\n_start:\n\tmov %esp, %eax\n\tpush %eax\n\tcall run\n");
