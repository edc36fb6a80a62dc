import numpy as np

from syncline.kms_model import font


def test_a_line_of_text_is_eight_rows_of_eight_columns_for_each_character() -> None:
    assert font.render("frame 7").shape == (8, 56)
    assert font.render("").shape == (8, 0)


def test_the_drawing_of_an_l_is_an_upright_and_a_foot() -> None:
    ink = font.render("L")

    assert ink[:7, 1].all()
    assert ink[6, 1:6].all()
    assert int(ink.sum()) == 11


def test_every_printable_character_has_a_glyph_of_its_own() -> None:
    glyphs = {font.render(chr(code)).tobytes() for code in range(0x20, 0x7F)}

    assert len(glyphs) == 95


def test_what_is_not_ascii_is_an_empty_box() -> None:
    box = font.render("\N{SNOWMAN}")

    assert np.array_equal(box, font.render("\n"))
    assert not np.array_equal(box, font.render("?"))


def test_letters_leave_a_column_free_between_them() -> None:
    every = font.render("".join(chr(code) for code in range(0x20, 0x7F))).reshape(8, 95, 8)

    assert not every[:, :, (0, 6, 7)].any()
